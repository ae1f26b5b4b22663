//! Tensors in bitsandbytes' formats: their scales are collected tile by tile, and follow the codes when all tiles are done.

use super::tiles::Tile;
use crate::error::{Code, Error, Result};
use crate::nf4::{BLOCK_SIZE, DataType4Bit, Quantize4BitOptions, Tail, TailLayout};
use crate::recipe::{PlannedTensor, four_bit_dtype};

/// Weights per block.
pub const BLOCK: u64 = BLOCK_SIZE as u64;

/// How a 4-bit type is encoded.
pub fn options_of(data_type: DataType4Bit) -> Quantize4BitOptions {
    Quantize4BitOptions { data_type, block_size: BLOCK_SIZE }
}

/// The scales of a tensor, as far as its tiles are done.
pub struct Scales {
    absmax: Vec<f32>,
    left: usize,
}

impl Scales {
    /// Of a tensor of which nothing is done.
    pub fn new(tensor: &PlannedTensor) -> Self {
        let blocks = blocks_of(tensor) as usize;
        Scales { absmax: vec![0.0; blocks], left: blocks }
    }

    /// Adds those of a tile that begins with a weight.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for scales of blocks that the tensor does not have.
    pub fn add(&mut self, first_weight: u64, absmax: &[f32]) -> Result<()> {
        let first = (first_weight / BLOCK) as usize;
        let Some(place) = self.absmax.get_mut(first..first.saturating_add(absmax.len())) else {
            return Err(Error::new(Code::LENGTH, format!("{} scales from block {first} on", absmax.len())));
        };
        place.copy_from_slice(absmax);
        self.left = self.left.saturating_sub(absmax.len());
        Ok(())
    }

    /// Whether they are all there.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Of all decoded scales of a tensor, those of a tile.
    pub fn of_tile(all: &[f32], tile: &Tile) -> Vec<f32> {
        let first = tile.first_weight / BLOCK;
        let end = first + (2 * tile.length).div_ceil(BLOCK);
        all.get(first as usize..all.len().min(end as usize)).unwrap_or_default().to_vec()
    }

    /// What follows the codes of the tensor in the file.
    ///
    /// # Errors
    /// Those of [`TailLayout::tail`], told of the tensor.
    pub fn tail(self, tensor: &PlannedTensor, layout: TailLayout) -> Result<Tail> {
        let size = (tensor.place.padded - tensor.place.bytes) as usize;
        let shape: Vec<usize> = tensor.shape.iter().rev().map(|extent| *extent as usize).collect();
        layout
            .tail(self.absmax, &shape, four_bit_dtype(tensor.from), size)
            .map_err(|error| error.within(&format!("tensor '{}'", tensor.name)).with("tensor", tensor.name.as_str()))
    }
}

/// Blocks of a tensor.
fn blocks_of(tensor: &PlannedTensor) -> u64 {
    tensor.rows.saturating_mul(tensor.row_length).div_ceil(BLOCK)
}
