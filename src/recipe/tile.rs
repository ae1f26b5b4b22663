//! One tile of a tensor, from the bytes of one type to the bytes of another.

use crate::analysis::ErrorSums;
use crate::check;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::{Codec, add_squares};
use crate::half::{f8_e4m3_to_f32, f8_e5m2_to_f32};

/// Some bytes of a tensor and what becomes of them: whole rows, or a piece of one long row.
///
/// The same type in and out is a copy. As in llama.cpp both sides are checked: neither may hold a NaN or an infinity, in
/// weights or in scales.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// The bytes, as `from` stores them.
    pub bytes: &'a [u8],
    /// The type they have.
    pub from: TensorType,
    /// The type they get.
    pub to: TensorType,
    /// Weights per row: those of a whole row, or of a piece that is cut at block borders.
    pub columns: usize,
    /// One value per column; the rows of a tile are then of one expert.
    pub importance: Option<&'a [f32]>,
    /// The mean square of the whole row, if the tile is a piece of one and the format
    /// [weighs by row](Codec::weighs_by_row).
    pub mean_square: Option<f32>,
    /// Unless it is 0, the two halves of every so many rows are interleaved first: llama's rotary order of queries and keys,
    /// which Hugging Face stores half by half.
    pub head_rows: usize,
}

impl Tile<'_> {
    /// Widens the bytes to f32 and encodes them, adding what that does to the weights to `errors`: nothing, if the type stays.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for input that is not finite; [`Code::LENGTH`] for bytes that are not
    /// whole rows or heads; [`Code::UNREPRESENTABLE`] for weights a float type cannot hold; those of [`Codec::encode_rows`].
    pub fn encode(&self, errors: Option<&mut ErrorSums>) -> Result<Vec<u8>> {
        if self.head_rows == 0 {
            return self.convert(errors);
        }
        let row = self.columns.saturating_mul(self.from.bytes as usize);
        // Of a bias every weight is a row; no tile of whole heads has but one row.
        let row = if self.bytes.len() == row { self.from.bytes as usize } else { row };
        let permuted = interleave(self.bytes, row, self.head_rows)?;
        Tile { bytes: &permuted, ..*self }.convert(errors)
    }

    fn convert(&self, errors: Option<&mut ErrorSums>) -> Result<Vec<u8>> {
        let Tile { bytes, from, to, columns, importance, .. } = *self;
        if from == to {
            // Integers and other types without a codec are bytes to be copied.
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

    /// Finite weights in a format, which has to hold them.
    pub(super) fn encode_weights(&self, weights: &[f32], target: &Codec) -> Result<Vec<u8>> {
        let mut out = check::zeros(target.encoded_len(weights.len(), self.columns)?)?;
        match self.mean_square {
            None => target.encode_rows(weights, self.columns, self.importance, &mut out)?,
            mean => target.encode_piece(weights, self.importance, mean, &mut out)?,
        }
        if target.carries_non_finite() {
            target.validate(&out).map_err(|_| {
                let message = format!("a weight of {} does not fit {}", self.from.name, target.name);
                Error::new(Code::UNREPRESENTABLE, message).with("format", target.name)
            })?;
        }
        Ok(out)
    }
}

/// [`Tile::encode`] of whole rows, with the types by their names.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`] and those of [`Tile::encode`].
pub fn encode_tile(
    bytes: &[u8],
    from: &str,
    to: &str,
    row_length: usize,
    importance: Option<&[f32]>,
    head_rows: usize,
) -> Result<Vec<u8>> {
    let (from, to) = (TensorType::by_name(from)?, TensorType::by_name(to)?);
    Tile { bytes, from, to, columns: row_length, importance, mean_square: None, head_rows }.encode(None)
}

/// The sum of the squares of a row's weights so far, and of those of the next piece: see [`add_squares`].
///
/// # Errors
/// [`Code::UNKNOWN_NAME`], those of [`widen`], and [`Code::NON_FINITE`].
pub fn add_row_squares(sum: f32, bytes: &[u8], from: &str) -> Result<f32> {
    Ok(add_squares(sum, &finite_weights(bytes, TensorType::by_name(from)?)?))
}

/// [`widen`], where no weight may be NaN or infinite.
pub(super) fn finite_weights(bytes: &[u8], from: TensorType) -> Result<Vec<f32>> {
    let weights = widen(bytes, from)?;
    if Codec::by_id(from.id).is_none() {
        check::finite(&weights, "weight")?; // of other types the codec has validated the bytes
    }
    Ok(weights)
}

/// Weights of any type that can be read, as f32: exact but for F64, which is rounded.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for integers beyond f32; [`Code::LENGTH`] for bytes that are not whole blocks; what
/// [`Codec::validate`] finds.
pub fn widen(bytes: &[u8], from: TensorType) -> Result<Vec<f32>> {
    let byte = |widen: fn(u8) -> f32| {
        let mut weights = Vec::new();
        check::room_for(&mut weights, bytes.len())?;
        weights.extend(bytes.iter().map(|&byte| widen(byte)));
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
            let mut weights = check::zeros(source.decoded_len(bytes.len())?)?;
            source.decode(bytes, &mut weights)?;
            Ok(weights)
        }
    }
}

/// Rows `j (head_rows / 2) + i` of every head go to `2 i + j`.
fn interleave(bytes: &[u8], row_bytes: usize, head_rows: usize) -> Result<Vec<u8>> {
    let (head, half) = (row_bytes.saturating_mul(head_rows), row_bytes.saturating_mul(head_rows / 2));
    if head == 0 || !head_rows.is_multiple_of(2) || !bytes.len().is_multiple_of(head) {
        let message = format!("{} bytes are not whole heads of {head_rows} rows of {row_bytes} bytes", bytes.len());
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

fn codec(kind: TensorType) -> Result<&'static Codec> {
    Codec::by_id(kind.id).ok_or_else(|| {
        Error::new(Code::UNSUPPORTED, format!("{} can be copied, not converted", kind.name)).with("format", kind.name)
    })
}
