//! One tile of whole rows, from the bytes of one type to the bytes of another.

use crate::analysis::ErrorSums;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::half::{f8_e4m3_to_f32, f8_e5m2_to_f32};

/// Widens `bytes` of format `from` to f32 and encodes them as `to`, in whole rows of `row_length` weights.
///
/// The same type in and out is a copy. As in llama.cpp both sides are checked: neither may hold a NaN or an infinity, in
/// weights or in scales. `importance` has one value per column; the rows of a tile are then of one expert. With
/// `head_rows` other than 0 the two halves of every so many rows are interleaved first: llama's rotary order of queries
/// and keys, which Hugging Face stores half by half.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for input that is not finite; [`Code::LENGTH`] for bytes that are not
/// whole rows or heads; [`Code::UNREPRESENTABLE`] for weights a float type cannot hold; those of [`Codec::encode_rows`].
pub fn encode_tile(
    bytes: &[u8],
    from: &str,
    to: &str,
    row_length: usize,
    importance: Option<&[f32]>,
    head_rows: usize,
) -> Result<Vec<u8>> {
    encode_measured(bytes, from, to, row_length, importance, head_rows, None)
}

/// [`encode_tile`], which adds what it did to the weights to `errors`: nothing, if the type stays.
///
/// # Errors
/// Those of [`encode_tile`]: that errors are measured makes none.
pub fn encode_measured(
    bytes: &[u8],
    from: &str,
    to: &str,
    row_length: usize,
    importance: Option<&[f32]>,
    head_rows: usize,
    errors: Option<&mut ErrorSums>,
) -> Result<Vec<u8>> {
    let (from, to) = (TensorType::by_name(from)?, TensorType::by_name(to)?);
    if head_rows > 0 {
        let row = row_length.saturating_mul(from.bytes as usize);
        // Of a bias every weight is a row; no tile of whole heads has but one row.
        let row = if bytes.len() == row { from.bytes as usize } else { row };
        let permuted = interleave(bytes, row, head_rows)?;
        return convert(&permuted, from, to, row_length, importance, errors);
    }
    convert(bytes, from, to, row_length, importance, errors)
}

fn convert(
    bytes: &[u8],
    from: TensorType,
    to: TensorType,
    row_length: usize,
    importance: Option<&[f32]>,
    errors: Option<&mut ErrorSums>,
) -> Result<Vec<u8>> {
    if from == to {
        // Integers and other types without a codec are bytes to be copied.
        return Codec::by_id(from.id).map_or(Ok(()), |codec| codec.validate(bytes)).map(|()| bytes.to_vec());
    }
    let target = codec(to)?;
    let weights = finite_weights(bytes, from)?;
    let out = encode(&weights, from, target, row_length, importance)?;
    if let Some(errors) = errors {
        errors.add_encoded(&weights, target, &out, row_length, importance)?;
    }
    Ok(out)
}

/// Finite weights in a format, which has to hold them.
pub(super) fn encode(
    weights: &[f32],
    from: TensorType,
    target: &Codec,
    row_length: usize,
    importance: Option<&[f32]>,
) -> Result<Vec<u8>> {
    let mut out = vec![0; target.encoded_len(weights.len(), row_length)?];
    target.encode_rows(weights, row_length, importance, &mut out)?;
    if target.carries_non_finite() {
        target.validate(&out).map_err(|_| {
            let message = format!("a weight of {} does not fit {}", from.name, target.name);
            Error::new(Code::UNREPRESENTABLE, message).with("format", target.name)
        })?;
    }
    Ok(out)
}

/// [`widen`], where no weight may be NaN or infinite.
pub(super) fn finite_weights(bytes: &[u8], from: TensorType) -> Result<Vec<f32>> {
    let weights = widen(bytes, from)?;
    if Codec::by_id(from.id).is_none() {
        crate::check::finite(&weights, "weight")?; // of other types the codec has validated the bytes
    }
    Ok(weights)
}

/// Weights of any type that can be read, as f32: exact but for F64, which is rounded.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for integers beyond f32; [`Code::LENGTH`] for bytes that are not whole blocks; what
/// [`Codec::validate`] finds.
pub fn widen(bytes: &[u8], from: TensorType) -> Result<Vec<f32>> {
    let byte = |widen: fn(u8) -> f32| Ok(bytes.iter().map(|&byte| widen(byte)).collect());
    match from {
        TensorType::F8_E4M3 => byte(f8_e4m3_to_f32),
        TensorType::F8_E5M2 => byte(f8_e5m2_to_f32),
        TensorType::U8 => byte(f32::from),
        TensorType::BOOL => byte(|byte| f32::from(byte != 0)),
        TensorType::U16 => Ok(bytes.as_chunks().0.iter().map(|&pair| f32::from(u16::from_le_bytes(pair))).collect()),
        _ => {
            let source = codec(from)?;
            source.validate(bytes)?;
            let mut weights = vec![0.0; source.decoded_len(bytes.len())?];
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
