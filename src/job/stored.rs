//! Tensors of a file, piece by piece: which bytes hold which weights, to read, check or compare them.

use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use std::ops::Range;

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// The stored dtype.
    pub dtype: TensorType,
    /// The shape, row length first.
    pub shape: Vec<u64>,
    /// Start of the data in the file, in bytes.
    pub offset: u64,
}

/// Neighbouring weights of a [`StoredTensor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Start in the file, in bytes.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// The index of the first weight in the tensor.
    pub first_weight: u64,
    /// The number of weights.
    pub weights: u64,
}

/// Weights that are compared at once, 4 MiB of F32: whole blocks of every format.
const COMPARED: u64 = 1 << 20;

impl StoredTensor {
    /// The number of weights.
    pub fn weights(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The weights of some rows: from the first number up to but not including the second, or of all rows. `name` is the
    /// tensor's, for the error.
    ///
    /// # Errors
    /// [`Code::RANGE`] for rows that it does not have.
    pub fn weights_of_rows(&self, name: &str, rows: Option<Range<u64>>) -> Result<Range<u64>> {
        let row_length = self.shape.first().copied().unwrap_or(1);
        let count = self.shape.iter().skip(1).product();
        let Range { start: from, end: to } = rows.unwrap_or(0..count);
        if from > to || to > count {
            let message = format!("tensor '{name}' has rows 0 to {count}, but {from} to {to} were requested");
            let error = Error::new(Code::RANGE, message).with("tensor", name).with("rows", count);
            return Err(error.with("from", from).with("to", to));
        }
        Ok(from * row_length..to * row_length)
    }

    /// Divides `weights`, which are whole blocks, into pieces of whole blocks with at most `most` bytes.
    pub fn pieces(&self, weights: Range<u64>, most: u64) -> impl Iterator<Item = Piece> {
        let step = (most / self.dtype.bytes).max(1) * self.dtype.weights;
        let count = weights.end.saturating_sub(weights.start).div_ceil(step);
        (0..count).map(move |index| {
            let start = weights.start + index * step;
            self.piece(start..weights.end.min(start + step))
        })
    }

    fn piece(&self, weights: Range<u64>) -> Piece {
        let bytes = |weights: u64| weights / self.dtype.weights * self.dtype.bytes;
        let (start, end) = (bytes(weights.start), bytes(weights.end));
        let (offset, length) = (self.offset + start, end - start);
        Piece { offset, length, first_weight: weights.start, weights: weights.end - weights.start }
    }

    /// The number of steps in which its weights are compared with those of another tensor; `None` if their shapes differ.
    pub fn comparison_steps(&self, other: &StoredTensor) -> Option<u64> {
        // Trailing dimensions of 1 are ignored: GGUF omits them.
        let trimmed = |shape: &[u64]| shape.iter().rposition(|&extent| extent != 1).map_or(0, |last| last + 1);
        let same = self.shape[..trimmed(&self.shape)] == other.shape[..trimmed(&other.shape)];
        same.then(|| self.weights().div_ceil(COMPARED))
    }

    /// The piece to read for a step of a comparison.
    pub fn compared_piece(&self, step: u64) -> Piece {
        let len = self.weights();
        self.piece(len.min(step * COMPARED)..len.min((step + 1) * COMPARED))
    }
}

/// What is wrong with stored weights, with the place of the first invalid one in a tensor; `None` if nothing is, or if
/// the dtype has no invalid values.
///
/// `first_weight` is the index of the first weight in `bytes`. See [`Codec::validate`].
pub fn problem_of(bytes: &[u8], dtype: TensorType, first_weight: u64) -> Option<String> {
    let error = Codec::by_id(dtype.id)?.validate(bytes).err()?;
    let place = error.index().map(|index| format!(" (weight {})", first_weight + index)).unwrap_or_default();
    Some(format!("{}{place}", error.message()))
}
