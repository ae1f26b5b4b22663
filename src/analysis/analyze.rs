//! The error of one quantization of one tensor.

use super::scheme::Scheme;
use super::stats::{ErrorAccumulator, QuantErrorStats, compare};
use crate::affine::{QuantParams, dequantize_with_params, quantize_with_params};
use crate::error::Result;
use crate::format::Codec;
use crate::nf4::{Quantize4BitOptions, dequantize_4bit, quantize_4bit};

/// The error of affine parameters on a tensor; absolute errors above `outlier_threshold` count as outliers.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) for no values, and those of [`quantize_with_params`].
pub fn analyze_error(
    original: &[f32],
    shape: &[usize],
    params: &QuantParams,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    let codes = quantize_with_params(original, shape, params)?;
    compare(original, &dequantize_with_params(&codes, shape, params)?, outlier_threshold)
}

/// The error of NF4, FP4 or linear 4-bit blocks.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) for no values, and those of [`quantize_4bit`].
pub fn analyze_error_4bit(
    original: &[f32],
    options: &Quantize4BitOptions,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    compare(original, &dequantize_4bit(&quantize_4bit(original, options)?)?, outlier_threshold)
}

/// The error of any block format, by its name, on rows of `row_length` weights. Works in tiles of whole rows: memory
/// does not grow with the tensor.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) for no values, [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME), and those of
/// [`Codec::encode_rows`].
pub fn analyze_error_format(
    original: &[f32],
    format: &str,
    row_length: usize,
    importance: Option<&[f32]>,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    const TILE: usize = 1 << 18;
    let codec = Codec::by_name(format)?;
    codec.encoded_len(original.len(), row_length)?;
    let tile = (TILE / row_length.max(1)).max(1) * row_length.max(1);
    let mut errors = ErrorAccumulator::new(outlier_threshold)?;
    let (mut bytes, mut decoded) = (Vec::new(), Vec::new());
    for (index, rows) in original.chunks(tile).enumerate() {
        bytes.resize(codec.encoded_len(rows.len(), row_length)?, 0);
        decoded.resize(rows.len(), 0.0);
        let place = |error: crate::Error| {
            if index == 0 { error } else { error.within(&format!("from value {}", index * tile)) }
        };
        codec.encode_rows(rows, row_length, importance, &mut bytes).map_err(place)?;
        codec.decode(&bytes, &mut decoded)?;
        errors.add(rows, &decoded).map_err(place)?;
    }
    errors.stats()
}

/// The error of any scheme on a tensor.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) for no values, and those of [`Scheme::encode`].
pub fn analyze_error_scheme(
    original: &[f32],
    shape: &[usize],
    scheme: &Scheme,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    compare(original, &scheme.round_trip(original, shape, None)?.0, outlier_threshold)
}
