//! How the error depends on the scale and on the number of bits.

use super::analyze::analyze_error;
use super::scheme::Scheme;
use super::stats::{QuantErrorStats, compare};
use crate::affine::{QuantMode, QuantParams};
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
    let width = |bits| {
        let (decoded, memory_bytes) = Scheme::per_tensor(bits, mode).round_trip(values, &[values.len()], None)?;
        let stats = compare(values, &decoded, 0.0)?;
        let compression_ratio = size_of_val(values) as f64 / memory_bytes as f64;
        Ok(BitWidthError { bits, stats, memory_bytes, compression_ratio })
    };
    (2..=8).map(width).collect()
}
