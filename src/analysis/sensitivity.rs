//! How the error depends on the scale and on the number of bits.

use super::analyze::{AffineErrors, PART, analyze_error};
use super::stats::QuantErrorStats;
use crate::affine::{GroupRanges, QuantGranularity, QuantMode, QuantParams, QuantScheme, packed_len};
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// The error before and after the scales were changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleSensitivity {
    /// Mean squared error of the parameters as they are.
    pub original_mse: f64,
    /// Of scales larger by the share `perturbation`.
    pub perturbed_mse: f64,
    /// `|perturbed - original| / (|perturbation| original)`: the relative change of the error per relative change of the
    /// scale. 0 if the error does not change, infinite if there was none before.
    pub sensitivity: f64,
}

/// How the error reacts when every scale is multiplied by `1 + perturbation`.
///
/// # Errors
/// [`Code::RANGE`] for a perturbation that makes a scale no positive number, and those of [`analyze_error`].
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScalePoint {
    /// What the scales were multiplied by.
    pub factor: f64,
    /// The error with them.
    pub stats: QuantErrorStats,
}

/// The error with every scale multiplied by each of `factors`: below 1 more is clipped, above 1 the steps are coarser.
///
/// # Errors
/// [`Code::RANGE`] for a factor that makes a scale no positive number, and those of [`analyze_error`].
pub fn scale_sweep(values: &[f32], shape: &[usize], params: &QuantParams, factors: &[f64]) -> Result<Vec<ScalePoint>> {
    let point = |&factor: &f64| {
        let stats = analyze_error(values, shape, &scaled(params, factor)?, 0.0)?;
        Ok(ScalePoint { factor, stats })
    };
    factors.iter().map(point).collect()
}

fn scaled(params: &QuantParams, factor: f64) -> Result<QuantParams> {
    if !(factor.is_finite() && factor > 0.0) {
        let message = format!("scales are multiplied by positive numbers, and {factor} is none");
        return Err(Error::new(Code::RANGE, message).with("factor", factor));
    }
    // The result is checked where it is used.
    let scales = params.scales.iter().map(|scale| (f64::from(*scale) * factor) as f32).collect();
    Ok(QuantParams { scales, ..params.clone() })
}

/// One bit width of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BitWidthError {
    /// Bits per code.
    pub bits: u8,
    /// The error.
    pub stats: QuantErrorStats,
    /// Bytes stored: packed codes, scale, zero point.
    pub memory_bytes: usize,
    /// Bytes of the values over bytes stored.
    pub compression_ratio: f64,
}

/// The error and the size of per-tensor integer quantization at 2 to 8 bits.
///
/// # Errors
/// [`Code::NO_DATA`] for no values, [`Code::NON_FINITE`].
pub fn compare_bit_widths(values: &[f32], mode: QuantMode) -> Result<Vec<BitWidthError>> {
    compare_bit_widths_of(values.len(), mode, |each| each(values))
}

/// [`compare_bit_widths`] of `len` values in parts: `parts` calls its argument with every part in order, and is called
/// twice. All parts but the last are of a multiple of 4096 values.
pub(crate) fn compare_bit_widths_of(
    len: usize,
    mode: QuantMode,
    mut parts: impl FnMut(&mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()>,
) -> Result<Vec<BitWidthError>> {
    let shape = [len];
    let mut ranges = GroupRanges::new(QuantGranularity::PerTensor.layout(&shape)?);
    parts(&mut |values| ranges.add(values))?;
    let params = |bits| ranges.params(QuantGranularity::PerTensor, &QuantScheme::new(bits, mode)?);
    let params = (2..=8).map(params).collect::<Result<Vec<_>>>()?;
    let errors = params.iter().map(|params| AffineErrors::new(params, &shape, 0.0));
    let mut errors = errors.collect::<Result<Vec<_>>>()?;
    // Every width sees a part while it is in the cache.
    parts(&mut |values| {
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
