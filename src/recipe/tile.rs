//! One tile of whole rows, from the bytes of one type to the bytes of another.

use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::Codec;

/// Widens `bytes` of format `from` to f32 and encodes them as `to`, in whole rows of `row_length` weights.
///
/// The same type in and out is a copy. As in llama.cpp both sides are checked: neither may hold a NaN or an infinity, in
/// weights or in scales. `importance` has one value per column; the rows of a tile are then of one expert.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`]; [`Code::NON_FINITE`] or [`Code::INVALID_BLOCK`] for input that is not finite; [`Code::LENGTH`] for bytes that are not
/// whole rows; [`Code::UNREPRESENTABLE`] for weights a float type cannot hold; those of [`Codec::encode_rows`].
pub fn encode_tile(
    bytes: &[u8],
    from: &str,
    to: &str,
    row_length: usize,
    importance: Option<&[f32]>,
) -> Result<Vec<u8>> {
    let (from, to) = (TensorType::by_name(from)?, TensorType::by_name(to)?);
    if from == to {
        // Integers and other types without a codec are bytes to be copied.
        return Codec::by_id(from.id).map_or(Ok(()), |codec| codec.validate(bytes)).map(|()| bytes.to_vec());
    }
    let (source, target) = (codec(from)?, codec(to)?);
    source.validate(bytes)?;
    let mut weights = vec![0.0; source.decoded_len(bytes.len())?];
    source.decode(bytes, &mut weights)?;
    let mut out = vec![0; target.encoded_len(weights.len(), row_length)?];
    target.encode_rows(&weights, row_length, importance, &mut out)?;
    if target.carries_non_finite() {
        target.validate(&out).map_err(|_| {
            let message = format!("a weight of {} does not fit {}", from.name, to.name);
            Error::new(Code::UNREPRESENTABLE, message).with("format", to.name)
        })?;
    }
    Ok(out)
}

fn codec(kind: TensorType) -> Result<&'static Codec> {
    Codec::by_id(kind.id).ok_or_else(|| {
        Error::new(Code::UNSUPPORTED, format!("{} can be copied, not converted", kind.name)).with("format", kind.name)
    })
}
