//! The error of each format on some rows of a tensor, and the difference between two tensors, without writing anything.

use super::tile::{Tile, finite_weights};
use crate::analysis::DistortionSums;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::validation;

/// Errors in the weights themselves, which apply to every format.
const OF_WEIGHTS: &[Code] = &[Code::NON_FINITE, Code::INVALID_BLOCK];

/// Measures the error of each of `formats` on rows of `row_length` weights, given as `bytes` with dtype `from`.
/// `importance` has one value per column. A piece of a long row is treated as a row; with its `mean_square` it is
/// encoded as within the whole row.
///
/// If a format cannot encode the rows, its entry is the reason: rows that are not whole blocks ([`Code::LENGTH`]),
/// missing importance, weights that are non-finite or cannot be represented, a read-only format. The error of the
/// format in which the rows are stored is 0.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::UNSUPPORTED`] for a dtype that cannot be decoded; [`Code::LENGTH`] if `bytes` is not
/// a whole number of blocks or `importance` not one row.
pub fn analyze_rows(
    bytes: &[u8],
    from: &str,
    row_length: usize,
    formats: &[String],
    importance: Option<&[f32]>,
    mean_square: Option<f32>,
) -> Result<Vec<Result<DistortionSums>>> {
    let from = TensorType::by_name(from)?;
    let codecs = formats.iter().map(|name| Codec::by_name(name)).collect::<Result<Vec<_>>>()?;
    if let Some(importance) = importance {
        validation::length("importance", importance.len(), row_length)?;
    }
    let weights = match finite_weights(bytes, from) {
        Err(error) if OF_WEIGHTS.contains(&error.code()) => return Ok(refused_by_all(&error, codecs.len())),
        weights => weights?,
    };
    let tile = Tile { bytes, from, to: from, columns: row_length, importance, mean_square, permuted_head_rows: 0 };
    let error_of = |codec: &Codec| {
        let mut sums = DistortionSums::default();
        if codec.id == from.id {
            sums.add_encoded(&weights, codec, bytes, row_length, importance)?;
        } else {
            let encoded = tile.encode_weights(&weights, codec)?;
            sums.add_encoded(&weights, codec, &encoded, row_length, importance)?;
        }
        if sums.is_finite() {
            return Ok(sums);
        }
        let message = format!("weights in {} do not dequantize to finite numbers", codec.name);
        Err(Error::new(Code::UNREPRESENTABLE, message).with("format", codec.name))
    };
    Ok(codecs.into_iter().map(error_of).collect())
}

/// The difference between stored weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Difference {
    /// The bytes are equal, of weights that cannot be subtracted: they are not finite, or cannot be decoded.
    Same,
    /// The bytes are different, of weights that cannot be decoded.
    Differs,
    /// The sums of the difference.
    Sums(DistortionSums),
}

/// [`compare_rows`], also for weights that cannot be subtracted. They can still be equal.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::LENGTH`]; [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for NaN or infinite weights
/// that differ.
pub fn difference(bytes: &[u8], from: &str, other: &[u8], other_type: &str) -> Result<Difference> {
    match compare_rows(bytes, from, other, other_type) {
        Ok(sums) => Ok(Difference::Sums(sums)),
        Err(_) if from == other_type && bytes == other => Ok(Difference::Same),
        Err(error) if error.code() == Code::UNSUPPORTED => Ok(Difference::Differs),
        Err(error) => Err(error),
    }
}

/// The difference between the weights in `bytes`, with dtype `from`, and those in `other`, with dtype `other_type`.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::UNSUPPORTED`] for a dtype that cannot be decoded; [`Code::LENGTH`] for partial
/// blocks or different numbers of weights; [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for NaN or infinite weights.
pub fn compare_rows(bytes: &[u8], from: &str, other: &[u8], other_type: &str) -> Result<DistortionSums> {
    let original = finite_weights(bytes, TensorType::by_name(from)?)?;
    let decoded = finite_weights(other, TensorType::by_name(other_type)?)?;
    validation::length("the other tensor", decoded.len(), original.len())?;
    let mut sums = DistortionSums::default();
    sums.add(&original, &decoded);
    Ok(sums)
}

fn refused_by_all(error: &Error, formats: usize) -> Vec<Result<DistortionSums>> {
    std::iter::repeat_n(Err(error.clone()), formats).collect()
}
