//! The error of one quantization of one tensor.

use super::scheme::Scheme;
use super::stats::{ErrorAccumulator, QuantErrorStats, compare};
use crate::affine::{Prepared, QuantParams};
use crate::error::Result;
use crate::format::Codec;
use crate::nf4::{Quantize4BitOptions, dequantize_4bit, quantize_4bit};
use crate::tiling::{Input, for_each_tile};
use crate::validation;

/// The error of quantizing a tensor with affine parameters. Absolute errors above `outlier_threshold` count as
/// outliers.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) if there are no values, and as for
/// [`quantize_with_params`](crate::affine::quantize_with_params).
pub fn analyze_error(
    original: &[f32],
    shape: &[usize],
    params: &QuantParams,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    analyze_error_tiles(original, shape, params, outlier_threshold)
}

/// [`analyze_error`] for any array.
pub(crate) fn analyze_error_tiles(
    original: impl Input<Item = f32>,
    shape: &[usize],
    params: &QuantParams,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    validation::shape("the tensor", original.len(), shape)?;
    let mut errors = AffineErrors::new(params, shape, outlier_threshold)?;
    for_each_tile(original, |values| errors.add(values))?;
    errors.stats()
}

/// The error of affine parameters for a tensor given in parts. Dequantized values go through a stack buffer; neither
/// the codes nor the dequantized tensor are allocated.
pub(crate) struct AffineErrors<'a> {
    prepared: Prepared<'a>,
    errors: ErrorAccumulator,
    seen: usize,
}

/// A multiple of the accumulator's tile, so that sums do not depend on how the tensor is divided.
pub(super) const PART: usize = 4096;

impl<'a> AffineErrors<'a> {
    pub(crate) fn new(params: &'a QuantParams, shape: &[usize], outlier_threshold: f64) -> Result<Self> {
        let prepared = Prepared::new(params, shape, validation::elements(shape)?)?;
        Ok(AffineErrors { prepared, errors: ErrorAccumulator::new(outlier_threshold)?, seen: 0 })
    }

    /// Adds the next values; their number must be a multiple of 4096, except for the last part.
    pub(crate) fn add(&mut self, values: &[f32]) -> Result<()> {
        let mut decoded = [0.0; PART];
        for values in values.chunks(PART) {
            let decoded = &mut decoded[..values.len()];
            self.prepared.fake(values, self.seen, decoded)?;
            self.errors.add_part(values, decoded, self.seen)?;
            self.seen += values.len();
        }
        Ok(())
    }

    /// Adds the error, relative to `values`, of quantizing `change(x)` for each value x.
    pub(crate) fn add_changed(&mut self, values: &[f32], change: impl Fn(f32) -> f32) -> Result<()> {
        let (mut changed, mut decoded) = ([0.0; PART], [0.0; PART]);
        for values in values.chunks(PART) {
            let (changed, decoded) = (&mut changed[..values.len()], &mut decoded[..values.len()]);
            for (changed, &x) in changed.iter_mut().zip(values) {
                *changed = change(x);
            }
            self.prepared.fake(changed, self.seen, decoded)?;
            self.errors.add_part(values, decoded, self.seen)?;
            self.seen += values.len();
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> Result<QuantErrorStats> {
        self.errors.stats()
    }
}

/// The error of quantizing to NF4, FP4 or linear INT4 blocks.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) if there are no values, and as for [`quantize_4bit`].
pub fn analyze_error_4bit(
    original: &[f32],
    options: &Quantize4BitOptions,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    compare(original, &dequantize_4bit(&quantize_4bit(original, options)?)?, outlier_threshold)
}

/// The error of a block format, given by name, for rows of `row_length` weights. Processes tiles of whole rows, so
/// memory does not grow with the tensor.
///
/// # Errors
/// [`Code::NO_DATA`](crate::Code::NO_DATA) if there are no values, [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME),
/// and as for [`Codec::encode_rows`].
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
            if index == 0 { error } else { error.within(&format!("in the values from {}", index * tile)) }
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
/// [`Code::NO_DATA`](crate::Code::NO_DATA) if there are no values, and as for [`Scheme::encode`].
pub fn analyze_error_scheme(
    original: &[f32],
    shape: &[usize],
    scheme: &Scheme,
    outlier_threshold: f64,
) -> Result<QuantErrorStats> {
    compare(original, &scheme.round_trip(original, shape, None)?.0, outlier_threshold)
}
