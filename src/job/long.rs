//! What has to be known of a long row, or of a whole tensor, before its first tile is encoded.

use super::api::Next;
use super::four_bit::Scales;
use super::task::{Found, Read, Task, Work};
use super::tiles::{ByteRange, TILE_WEIGHTS, Tile, bytes_of, tiles};
use crate::container::gguf::TensorType;
use crate::error::Result;
use crate::format::mean_square;
use crate::recipe::{Plan, PlannedTensor};
use std::collections::HashMap;

/// A row that is longer than a tile, in a format that weighs by row: its mean square is needed before its first piece.
pub struct LongRow {
    tensor: usize,
    /// Weights of the tensor before it.
    first_weight: u64,
    /// Where it begins in the source.
    offset: u64,
    /// Weights whose squares are summed, and their sum.
    summed: u64,
    sum: f32,
    /// The task that sums the next piece, and how many weights that has.
    under_way: Option<(u64, u64)>,
    /// The tile that waits for the mean.
    held: Option<Tile>,
}

impl LongRow {
    /// The row of a tile that begins in `column`.
    pub fn new(from: TensorType, column: u64, first_weight: u64, tile: Tile) -> Self {
        let offset = tile.input.offset - bytes_of(from, column);
        let (tensor, summed, sum, under_way) = (tile.tensor, 0, 0.0, None);
        LongRow { tensor, first_weight, offset, summed, sum, under_way, held: Some(tile) }
    }

    /// Whether a tile waits for its mean.
    pub fn holds_tile(&self) -> bool {
        self.held.is_some()
    }

    /// Whether it is the row of a tensor that begins with a weight.
    pub fn is(&self, tensor: usize, first_weight: u64) -> bool {
        (self.tensor, self.first_weight) == (tensor, first_weight)
    }

    /// The next piece of it, or the tile that waited for the sum.
    pub fn next(&mut self, last_id: &mut u64, plan: &Plan) -> std::result::Result<Next, Tile> {
        let tensor = &plan.tensors[self.tensor];
        if self.under_way.is_some() {
            return Ok(Next::Wait);
        }
        let count = TILE_WEIGHTS.min(tensor.row_length - self.summed);
        if count == 0 {
            return self.held.take().map_or(Ok(Next::Wait), Err);
        }
        *last_id += 1;
        self.under_way = Some((*last_id, count));
        let (from, summed) = (tensor.from, self.summed);
        let (offset, length) = (self.offset + bytes_of(from, summed), bytes_of(from, count));
        Ok(Next::Task(Task {
            id: *last_id,
            read: Read::Source(ByteRange { offset, length, second: None }),
            work: Work::Squares { from: from.name.to_owned(), sum: self.sum },
            tensor: tensor.name.clone(),
            first_weight: self.first_weight + summed,
            row_length: tensor.row_length,
        }))
    }

    /// Whether a result is the sum of a piece of it.
    pub fn complete(&mut self, id: u64, found: &Found) -> bool {
        let Some((_, count)) = self.under_way.take_if(|(piece, _)| *piece == id) else { return false };
        if let Some(sum) = found.sum {
            (self.sum, self.summed) = (sum, self.summed + count);
        }
        true
    }

    /// Its mean square, if a tile is a piece of it.
    pub fn mean_square(&self, tile: &Tile, plan: &Plan) -> Option<f32> {
        let row_length = plan.tensors[tile.tensor].row_length;
        let piece = self.tensor == tile.tensor && tile.columns < row_length;
        let within = piece && tile.first_weight.checked_sub(self.first_weight)? < row_length;
        (within && self.summed == row_length).then(|| mean_square(self.sum, row_length))
    }
}

/// A tensor whose scales have a second level: with it a tile's error is known only when all of its scales are.
pub struct Scan {
    /// Its place in the plan.
    pub tensor: usize,
    /// As far as they are known.
    pub scales: Scales,
    rest: Box<dyn Iterator<Item = Tile> + Send>,
    /// The first weights of tiles that are looked at, by their tasks.
    under_way: HashMap<u64, u64>,
}

impl Scan {
    /// Nothing is looked at yet.
    pub fn new(index: usize, tensor: &PlannedTensor) -> Self {
        Scan { tensor: index, scales: Scales::new(tensor), rest: tiles(tensor, index), under_way: HashMap::new() }
    }

    /// The next tile to be looked at.
    pub fn next(&mut self, last_id: &mut u64, plan: &Plan) -> Next {
        let tensor = &plan.tensors[self.tensor];
        let Some(tile) = self.rest.next() else { return Next::Wait };
        *last_id += 1;
        self.under_way.insert(*last_id, tile.first_weight);
        Next::Task(Task {
            id: *last_id,
            read: Read::Source(tile.input),
            work: Work::Absmax { from: tensor.from.name.to_owned(), to: tensor.to.name.to_owned() },
            tensor: tensor.name.clone(),
            first_weight: tile.first_weight,
            row_length: tensor.row_length,
        })
    }

    /// Whether a result is of a tile of it.
    ///
    /// # Errors
    /// Those of [`Scales::add`].
    pub fn complete(&mut self, id: u64, found: &Found) -> Result<bool> {
        let Some(first_weight) = self.under_way.remove(&id) else { return Ok(false) };
        self.scales.add(first_weight, found.absmax.as_deref().unwrap_or_default())?;
        Ok(true)
    }
}
