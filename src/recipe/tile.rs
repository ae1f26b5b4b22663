//! Converts one tile of a tensor from one dtype to another.

use crate::allocation;
use crate::analysis::DistortionSums;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::{Codec, add_squares};
use crate::half::{f8_e4m3_to_f32, f8_e5m2_to_f32};
use crate::validation;

/// Part of a tensor and its conversion: whole rows, or a piece of one long row.
///
/// If both dtypes are the same the tile is copied. As in llama.cpp, input and output are checked for NaN and infinity
/// in weights and scales.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// The input bytes.
    pub bytes: &'a [u8],
    /// The dtype of the input.
    pub from: TensorType,
    /// The dtype of the output.
    pub to: TensorType,
    /// Weights per row: of a whole row, or of the piece if a row is divided at block boundaries.
    pub columns: usize,
    /// One value per column, in which case all rows of the tile must belong to the same expert.
    pub importance: Option<&'a [f32]>,
    /// The mean square of the whole row, if the tile is a piece of one and the format has
    /// [`weighs_by_row`](Codec::weighs_by_row).
    pub mean_square: Option<f32>,
    /// Unless 0, the two halves of every `permuted_head_rows` rows are interleaved first: llama's RoPE order of queries and
    /// keys, which Hugging Face stores as two halves.
    pub permuted_head_rows: usize,
}

impl Tile<'_> {
    /// Decodes the input to f32 and encodes it. Adds the quantization error to `errors`, unless the dtype stays the
    /// same.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for non-finite input; [`Code::LENGTH`] if the bytes are not
    /// whole rows or heads; [`Code::UNREPRESENTABLE`] for weights beyond the range of a float dtype; and as for
    /// [`Codec::encode_rows`].
    pub fn encode(&self, errors: Option<&mut DistortionSums>) -> Result<Vec<u8>> {
        if self.permuted_head_rows == 0 {
            return self.convert(errors);
        }
        let row = self.columns.saturating_mul(self.from.bytes as usize);
        // In a bias every weight is a row; a tile of whole heads always has several rows.
        let row = if self.bytes.len() == row { self.from.bytes as usize } else { row };
        let permuted = interleave(self.bytes, row, self.permuted_head_rows)?;
        Tile { bytes: &permuted, ..*self }.convert(errors)
    }

    fn convert(&self, errors: Option<&mut DistortionSums>) -> Result<Vec<u8>> {
        let Tile { bytes, from, to, columns, importance, .. } = *self;
        if from == to {
            // Integers and other dtypes without a codec can only be copied.
            return Codec::by_id(from.id).map_or(Ok(()), |codec| codec.validate(bytes)).map(|()| bytes.to_vec());
        }
        let target = codec(to)?;
        let weights = finite_weights(bytes, from)?;
        let out = self.encode_weights(&weights, target)?;
        if let Some(errors) = errors {
            errors.add_encoded(&weights, target, &out, columns, importance)?;
        }
        Ok(out)
    }

    /// Encodes finite weights, checking that the format can represent them.
    pub(super) fn encode_weights(&self, weights: &[f32], target: &Codec) -> Result<Vec<u8>> {
        let mut out = allocation::zeros(target.encoded_len(weights.len(), self.columns)?)?;
        match self.mean_square {
            None => target.encode_rows(weights, self.columns, self.importance, &mut out)?,
            mean => target.encode_piece(weights, self.importance, mean, &mut out)?,
        }
        if target.carries_non_finite() {
            target.validate(&out).map_err(|_| {
                let message = format!("a weight in {} cannot be represented in {}", self.from.name, target.name);
                Error::new(Code::UNREPRESENTABLE, message).with("format", target.name)
            })?;
        }
        Ok(out)
    }
}

/// [`Tile::encode`] for whole rows, with dtypes given by name.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`], and as for [`Tile::encode`].
pub fn encode_tile(
    bytes: &[u8],
    from: &str,
    to: &str,
    row_length: usize,
    importance: Option<&[f32]>,
    permuted_head_rows: usize,
) -> Result<Vec<u8>> {
    let (from, to) = (TensorType::by_name(from)?, TensorType::by_name(to)?);
    Tile { bytes, from, to, columns: row_length, importance, mean_square: None, permuted_head_rows }.encode(None)
}

/// Adds the squares of the next piece of a row's weights to `sum`; see [`add_squares`].
///
/// # Errors
/// [`Code::UNKNOWN_NAME`], [`Code::NON_FINITE`], and as for [`decode_to_f32`].
pub fn add_row_squares(sum: f32, bytes: &[u8], from: &str) -> Result<f32> {
    Ok(add_squares(sum, &finite_weights(bytes, TensorType::by_name(from)?)?))
}

/// [`decode_to_f32`] with a check for NaN and infinity.
pub(super) fn finite_weights(bytes: &[u8], from: TensorType) -> Result<Vec<f32>> {
    let weights = decode_to_f32(bytes, from)?;
    if Codec::by_id(from.id).is_none() {
        validation::finite(&weights, "weight")?; // for other dtypes the codec has validated the bytes
    }
    Ok(weights)
}

/// Decodes weights of any readable dtype to f32. Exact except for F64, which is rounded.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for dtypes without a codec; [`Code::LENGTH`] for partial blocks; and as for
/// [`Codec::validate`].
pub fn decode_to_f32(bytes: &[u8], from: TensorType) -> Result<Vec<f32>> {
    let byte = |decode_to_f32: fn(u8) -> f32| {
        let mut weights = Vec::new();
        allocation::reserve(&mut weights, bytes.len())?;
        weights.extend(bytes.iter().map(|&byte| decode_to_f32(byte)));
        Ok(weights)
    };
    match from {
        TensorType::F8_E4M3 => byte(f8_e4m3_to_f32),
        TensorType::F8_E5M2 => byte(f8_e5m2_to_f32),
        TensorType::U8 => byte(f32::from),
        TensorType::BOOL => byte(|byte| f32::from(byte != 0)),
        TensorType::U16 => Ok(bytes.as_chunks().0.iter().map(|&pair| f32::from(u16::from_le_bytes(pair))).collect()),
        _ => {
            let source = codec(from)?;
            source.validate(bytes)?;
            let mut weights = allocation::zeros(source.decoded_len(bytes.len())?)?;
            source.decode(bytes, &mut weights)?;
            Ok(weights)
        }
    }
}

/// Moves row `j (permuted_head_rows / 2) + i` of every head to `2 i + j`.
fn interleave(bytes: &[u8], row_bytes: usize, permuted_head_rows: usize) -> Result<Vec<u8>> {
    let (head, half) = (row_bytes.saturating_mul(permuted_head_rows), row_bytes.saturating_mul(permuted_head_rows / 2));
    if head == 0 || !permuted_head_rows.is_multiple_of(2) || !bytes.len().is_multiple_of(head) {
        let message = format!(
            "{} bytes are not a whole number of heads with {permuted_head_rows} rows of {row_bytes} bytes",
            bytes.len()
        );
        return Err(Error::new(Code::LENGTH, message).with("actual", bytes.len()).with("expected", head));
    }
    let mut out = Vec::with_capacity(bytes.len());
    for head in bytes.chunks_exact(head) {
        let (first, second) = head.split_at(half);
        for (a, b) in first.chunks_exact(row_bytes).zip(second.chunks_exact(row_bytes)) {
            out.extend(a);
            out.extend(b);
        }
    }
    Ok(out)
}

fn codec(dtype: TensorType) -> Result<&'static Codec> {
    Codec::by_id(dtype.id).ok_or_else(|| {
        Error::new(Code::UNSUPPORTED, format!("{} can be copied, but not converted", dtype.name))
            .with("format", dtype.name)
    })
}
