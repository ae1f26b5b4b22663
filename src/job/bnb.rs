//! Tensors in bitsandbytes' formats: the scales are collected from the tiles, and follow the codes once all tiles are
//! done.

use super::tiles::Tile;
use crate::error::{Code, Error, Result};
use crate::nf4::{BLOCK_SIZE, DataType4Bit, Quantize4BitOptions, Tail, TailLayout};
use crate::recipe::{PlannedTensor, bnb_compute_dtype};

/// Weights per block.
pub const BLOCK: u64 = BLOCK_SIZE as u64;

/// The encoding options of a 4-bit data type.
pub fn options_of(data_type: DataType4Bit) -> Quantize4BitOptions {
    Quantize4BitOptions { data_type, block_size: BLOCK_SIZE }
}

/// The scales of a tensor, for the tiles done so far.
pub struct Scales {
    absmax: Vec<f32>,
    left: usize,
}

impl Scales {
    /// For a tensor without completed tiles.
    pub fn new(tensor: &PlannedTensor) -> Self {
        let blocks = blocks_of(tensor) as usize;
        Scales { absmax: vec![0.0; blocks], left: blocks }
    }

    /// Adds the scales of a tile that starts at a weight.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for scales beyond the blocks of the tensor.
    pub fn add(&mut self, first_weight: u64, absmax: &[f32]) -> Result<()> {
        let first = (first_weight / BLOCK) as usize;
        let Some(place) = self.absmax.get_mut(first..first.saturating_add(absmax.len())) else {
            return Err(Error::new(
                Code::LENGTH,
                format!("{} scales from block {first} exceed the tensor", absmax.len()),
            ));
        };
        place.copy_from_slice(absmax);
        self.left = self.left.saturating_sub(absmax.len());
        Ok(())
    }

    /// Whether all scales are known.
    pub fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Selects the decoded scales of a tile from those of its tensor.
    pub fn of_tile(all: &[f32], tile: &Tile) -> Vec<f32> {
        let first = tile.first_weight / BLOCK;
        let end = first + (2 * tile.length).div_ceil(BLOCK);
        all.get(first as usize..all.len().min(end as usize)).unwrap_or_default().to_vec()
    }

    /// Returns the data that follows the codes of the tensor in the file.
    ///
    /// # Errors
    /// As for [`TailLayout::tail`], with the name of the tensor.
    pub fn tail(self, tensor: &PlannedTensor, layout: TailLayout) -> Result<Tail> {
        let size = (tensor.place.padded - tensor.place.bytes) as usize;
        let shape: Vec<usize> = tensor.shape.iter().rev().map(|extent| *extent as usize).collect();
        layout
            .tail(self.absmax, &shape, bnb_compute_dtype(tensor.from), size)
            .map_err(|error| error.within(&format!("tensor '{}'", tensor.name)).with("tensor", tensor.name.as_str()))
    }
}

/// The number of blocks of a tensor.
fn blocks_of(tensor: &PlannedTensor) -> u64 {
    tensor.weights().div_ceil(BLOCK)
}
