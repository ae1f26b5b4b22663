//! The error as a function of the scale and of the number of bits.

use super::analyze::{AffineErrors, PART, analyze_error};
use super::stats::QuantErrorStats;
use crate::affine::{QuantGranularity, QuantMode, QuantParams, QuantScheme, packed_len, ranges_of};
use crate::error::{Code, Error, Result};
use crate::tiling::{Input, for_each_tile};
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The error before and after changing the scales.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct ScaleSensitivity {
    /// Mean squared error with the given parameters.
    pub original_mse: f64,
    /// Mean squared error with the scales multiplied by `1 + perturbation`.
    pub perturbed_mse: f64,
    /// `|perturbed - original| / (|perturbation| original)`: the relative change of the error per relative change of
    /// the scale. 0 if the error does not change, infinite if the original error is 0.
    pub sensitivity: f64,
}

/// Measures how the error changes when every scale is multiplied by `1 + perturbation`.
///
/// # Errors
/// [`Code::RANGE`] if the perturbed scale would not be positive and finite, and as for [`analyze_error`].
pub fn scale_sensitivity(
    values: &[f32],
    shape: &[usize],
    params: &QuantParams,
    perturbation: f64,
) -> Result<ScaleSensitivity> {
    let original_mse = analyze_error(values, shape, params, 0.0)?.mse;
    let perturbed_mse = analyze_error(values, shape, &scaled(params, 1.0 + perturbation)?, 0.0)?.mse;
    let change = (perturbed_mse - original_mse).abs();
    let sensitivity = if change == 0.0 { 0.0 } else { change / (perturbation.abs() * original_mse) };
    Ok(ScaleSensitivity { original_mse, perturbed_mse, sensitivity })
}

/// One point of a [`scale_sweep`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct ScalePoint {
    /// The factor applied to the scales.
    pub factor: f64,
    /// The error with these scales.
    pub stats: QuantErrorStats,
}

/// The error with every scale multiplied by each of `factors`: below 1 more values are clipped, above 1 the steps are
/// coarser.
///
/// # Errors
/// [`Code::RANGE`] for a factor for which a scale would not be positive and finite, and as for [`analyze_error`].
pub fn scale_sweep(values: &[f32], shape: &[usize], params: &QuantParams, factors: &[f64]) -> Result<Vec<ScalePoint>> {
    let point = |&factor: &f64| {
        let stats = analyze_error(values, shape, &scaled(params, factor)?, 0.0)?;
        Ok(ScalePoint { factor, stats })
    };
    factors.iter().map(point).collect()
}

fn scaled(params: &QuantParams, factor: f64) -> Result<QuantParams> {
    if !(factor.is_finite() && factor > 0.0) {
        let message = format!("the factor for the scales is {factor}, and must be positive and finite");
        return Err(Error::new(Code::RANGE, message).with("factor", factor));
    }
    // The result is validated where it is used.
    let scales = params.scales.iter().map(|scale| (f64::from(*scale) * factor) as f32).collect();
    Ok(QuantParams { scales, ..params.clone() })
}

/// The error of one bit width.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct BitWidthError {
    /// Bits per code.
    pub bits: u8,
    /// The error.
    pub stats: QuantErrorStats,
    /// Size in bytes: packed codes, scale, zero point.
    pub memory_bytes: usize,
    /// Size of the values as f32 divided by `memory_bytes`.
    pub compression_ratio: f64,
}

/// The error and size of per-tensor integer quantization with 2 to 8 bits.
///
/// # Errors
/// [`Code::NO_DATA`] if there are no values, [`Code::NON_FINITE`].
pub fn compare_bit_widths(values: &[f32], mode: QuantMode) -> Result<Vec<BitWidthError>> {
    compare_bit_widths_tiles(values, mode)
}

/// [`compare_bit_widths`] for any array, which is read twice.
pub(crate) fn compare_bit_widths_tiles(
    mut values: impl Input<Item = f32>,
    mode: QuantMode,
) -> Result<Vec<BitWidthError>> {
    let len = values.len();
    let shape = [len];
    let ranges = ranges_of(&mut values, &shape, QuantGranularity::PerTensor)?;
    let params = |bits| ranges.params(QuantGranularity::PerTensor, &QuantScheme::new(bits, mode)?);
    let params = (2..=8).map(params).collect::<Result<Vec<_>>>()?;
    let errors = params.iter().map(|params| AffineErrors::new(params, &shape, 0.0));
    let mut errors = errors.collect::<Result<Vec<_>>>()?;
    // Each part is processed for all widths while it is in the cache.
    for_each_tile(values, |values| {
        let mut each = |part: &[f32]| errors.iter_mut().try_for_each(|errors| errors.add(part));
        values.chunks(PART).try_for_each(&mut each)
    })?;
    let width = |(params, errors): (&QuantParams, &AffineErrors<'_>)| {
        let memory_bytes = packed_len(len, params.bits) + params.memory_bytes();
        let compression_ratio = (len * size_of::<f32>()) as f64 / memory_bytes as f64;
        Ok(BitWidthError { bits: params.bits, stats: errors.stats()?, memory_bytes, compression_ratio })
    };
    params.iter().zip(&errors).map(width).collect()
}
