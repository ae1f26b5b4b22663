//! Information about a long row, or a whole tensor, that is needed before its first tile can be encoded.

use super::bnb::Scales;
use super::protocol::Next;
use super::small_map::SmallMap;
use super::task::{Findings, Read, Task, Work};
use super::tiles::{ByteRange, TILE_WEIGHTS, Tile, bytes_of, tiles};
use crate::container::gguf::TensorType;
use crate::error::Result;
use crate::format::mean_square;
use crate::recipe::{Plan, PlannedTensor};

/// A row longer than a tile, in a format whose error weighting depends on the mean square of the row.
pub struct RowPrescan {
    tensor: usize,
    /// The number of weights of the tensor before the row.
    first_weight: u64,
    /// Start of the row in the source.
    offset: u64,
    /// The number of weights whose squares are summed, and the sum.
    summed: u64,
    sum: f32,
    /// The task that sums the next piece, and its number of weights.
    in_flight: Option<(u64, u64)>,
    /// The tile that waits for the mean square.
    held: Option<Tile>,
}

impl RowPrescan {
    /// The row of a tile that starts in `column`.
    pub fn new(from: TensorType, column: u64, first_weight: u64, tile: Tile) -> Self {
        let offset = tile.input.offset - bytes_of(from, column);
        let (tensor, summed, sum, in_flight) = (tile.tensor, 0, 0.0, None);
        RowPrescan { tensor, first_weight, offset, summed, sum, in_flight, held: Some(tile) }
    }

    /// Whether a tile waits for the mean square.
    pub fn holds_tile(&self) -> bool {
        self.held.is_some()
    }

    /// Whether this is the row of a tensor that starts at a weight.
    pub fn is(&self, tensor: usize, first_weight: u64) -> bool {
        (self.tensor, self.first_weight) == (tensor, first_weight)
    }

    /// The task for the next piece, or the waiting tile once the sum is complete.
    pub fn next(&mut self, last_id: &mut u64, plan: &Plan) -> std::result::Result<Next, Tile> {
        let tensor = &plan.tensors[self.tensor];
        if self.in_flight.is_some() {
            return Ok(Next::Wait);
        }
        let count = TILE_WEIGHTS.min(tensor.row_length - self.summed);
        if count == 0 {
            return self.held.take().map_or(Ok(Next::Wait), Err);
        }
        *last_id += 1;
        self.in_flight = Some((*last_id, count));
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

    /// Adds a result; returns whether it was the sum of a piece of this row.
    pub fn complete(&mut self, id: u64, found: &Findings) -> bool {
        let Some((_, count)) = self.in_flight.take_if(|(piece, _)| *piece == id) else { return false };
        if let Some(sum) = found.sum {
            (self.sum, self.summed) = (sum, self.summed + count);
        }
        true
    }

    /// The mean square, if a tile is a piece of this row.
    pub fn mean_square(&self, tile: &Tile, plan: &Plan) -> Option<f32> {
        let row_length = plan.tensors[tile.tensor].row_length;
        let piece = self.tensor == tile.tensor && tile.columns < row_length;
        let within = piece && tile.first_weight.checked_sub(self.first_weight)? < row_length;
        (within && self.summed == row_length).then(|| mean_square(self.sum, row_length))
    }
}

/// A tensor with double quantization, for which the error of a tile can only be computed once all scales are known.
pub struct TensorPrescan {
    /// Its index in the plan.
    pub tensor: usize,
    /// The scales known so far.
    pub scales: Scales,
    rest: Box<dyn Iterator<Item = Tile> + Send>,
    /// The first weight of each tile in flight, by task.
    in_flight: SmallMap<u64, u64>,
}

impl TensorPrescan {
    /// Starts with no tiles.
    pub fn new(index: usize, tensor: &PlannedTensor) -> Self {
        TensorPrescan {
            tensor: index,
            scales: Scales::new(tensor),
            rest: tiles(tensor, index),
            in_flight: SmallMap::new(),
        }
    }

    /// The task for the next tile.
    pub fn next(&mut self, last_id: &mut u64, plan: &Plan) -> Next {
        let tensor = &plan.tensors[self.tensor];
        let Some(tile) = self.rest.next() else { return Next::Wait };
        *last_id += 1;
        self.in_flight.insert(*last_id, tile.first_weight);
        Next::Task(Task {
            id: *last_id,
            read: Read::Source(tile.input),
            work: Work::Absmax { from: tensor.from.name.to_owned(), to: tensor.to.name.to_owned() },
            tensor: tensor.name.clone(),
            first_weight: tile.first_weight,
            row_length: tensor.row_length,
        })
    }

    /// Adds a result; returns whether it was one of this tensor's tiles.
    ///
    /// # Errors
    /// As for [`Scales::add`].
    pub fn complete(&mut self, id: u64, found: &Findings) -> Result<bool> {
        let Some(first_weight) = self.in_flight.remove(id) else { return Ok(false) };
        self.scales.add(first_weight, found.absmax.as_deref().unwrap_or_default())?;
        Ok(true)
    }
}
