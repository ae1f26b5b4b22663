//! What each format would make of some rows of a tensor, and how far two tensors are from each other, without writing any.

use super::tile::{Tile, finite_weights};
use crate::analysis::ErrorSums;
use crate::check;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::Codec;

/// What can be wrong with the weights themselves: then it is wrong for every format.
const OF_WEIGHTS: &[Code] = &[Code::NON_FINITE, Code::INVALID_BLOCK];

/// The error of each of `formats` on rows of `row_length` weights, stored in `bytes` as `from`; `importance` has one value per
/// column. A piece of a long row counts as a row; with its `mean_square` it is encoded as in the whole row.
///
/// A format that refuses the rows has its reason in its place: rows that are not whole blocks
/// ([`Code::LENGTH`]), a missing importance, weights that are not finite or do not fit, a format that is only read. The
/// format the rows are stored in changes nothing.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::UNSUPPORTED`] for a type whose weights are not read; [`Code::LENGTH`] for bytes that are
/// not whole blocks and importance that is not one row.
pub fn analyze_rows(
    bytes: &[u8],
    from: &str,
    row_length: usize,
    formats: &[String],
    importance: Option<&[f32]>,
    mean_square: Option<f32>,
) -> Result<Vec<Result<ErrorSums>>> {
    let from = TensorType::by_name(from)?;
    let codecs = formats.iter().map(|name| Codec::by_name(name)).collect::<Result<Vec<_>>>()?;
    if let Some(importance) = importance {
        check::length("importance", importance.len(), row_length)?;
    }
    let weights = match finite_weights(bytes, from) {
        Err(error) if OF_WEIGHTS.contains(&error.code()) => return Ok(refused_by_all(&error, codecs.len())),
        weights => weights?,
    };
    let tile = Tile { bytes, from, to: from, columns: row_length, importance, mean_square, head_rows: 0 };
    let error_of = |codec: &Codec| {
        let mut sums = ErrorSums::default();
        if codec.id == from.id {
            sums.add_encoded(&weights, codec, bytes, row_length, importance)?;
        } else {
            let encoded = tile.encode_weights(&weights, codec)?;
            sums.add_encoded(&weights, codec, &encoded, row_length, importance)?;
        }
        if sums.is_finite() {
            return Ok(sums);
        }
        let message = format!("weights come back from {} as no finite numbers", codec.name);
        Err(Error::new(Code::UNREPRESENTABLE, message).with("format", codec.name))
    };
    Ok(codecs.into_iter().map(error_of).collect())
}

/// How far the weights in `other`, stored as `other_type`, are from those in `bytes`, stored as `from`.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::UNSUPPORTED`] for a type whose weights are not read; [`Code::LENGTH`] for bytes that are
/// not whole blocks or not as many weights; [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for weights that are no numbers.
pub fn compare_rows(bytes: &[u8], from: &str, other: &[u8], other_type: &str) -> Result<ErrorSums> {
    let original = finite_weights(bytes, TensorType::by_name(from)?)?;
    let decoded = finite_weights(other, TensorType::by_name(other_type)?)?;
    check::length("the other tensor", decoded.len(), original.len())?;
    let mut sums = ErrorSums::default();
    sums.add(&original, &decoded);
    Ok(sums)
}

fn refused_by_all(error: &Error, formats: usize) -> Vec<Result<ErrorSums>> {
    std::iter::repeat_n(Err(error.clone()), formats).collect()
}
