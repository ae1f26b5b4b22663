//! Theoretical bounds of the error.

use super::stats::QuantErrorStats;
use crate::affine::{QuantParams, dequantize_with_params, quantize_with_params};
use crate::error::{Code, Error, Result};
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The signal that a theoretical SQNR assumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Signal {
    /// Uniformly distributed over the whole range of the codes.
    Uniform,
    /// A full-scale sine.
    Sine,
}

/// The signal-to-noise ratio in decibels of `2^bits` uniform levels, assuming that the error is uniformly distributed
/// within a step: `20 log10(2^bits)`, that is 6.02 per bit, for a uniform signal, and `10 log10(3/2)`, that is 1.76,
/// more for a full-scale sine.
///
/// # Errors
/// [`Code::RANGE`] unless `bits` is 1 to 32.
pub fn theoretical_sqnr(bits: u8, signal: Signal) -> Result<f64> {
    validation::within("bits", bits, 1, 32)?;
    let uniform = 20.0 * f64::from(bits) * std::f64::consts::LOG10_2;
    Ok(match signal {
        Signal::Uniform => uniform,
        Signal::Sine => uniform + 10.0 * libm::log10(1.5),
    })
}

/// Half the largest scale: the maximum error of any value within the range of the parameters.
///
/// # Errors
/// As for [`QuantParams::check`], and [`Code::NO_DATA`] for parameters without scales.
pub fn theoretical_max_error(params: &QuantParams) -> Result<f64> {
    params.check()?;
    let largest = params.scales.iter().copied().fold(0.0, f32::max);
    if params.scales.is_empty() {
        return Err(Error::new(Code::NO_DATA, "parameters without scales have no maximum error"));
    }
    Ok(f64::from(largest) / 2.0)
}

/// Whether the largest error is at most the [theoretical](theoretical_max_error) one, up to a relative `tolerance`.
///
/// The single-precision rounding of the values requires a tolerance of a few millionths.
///
/// # Errors
/// As for [`theoretical_max_error`], and [`Code::RANGE`] for a negative or NaN tolerance.
pub fn error_within_bounds(stats: &QuantErrorStats, params: &QuantParams, tolerance: f64) -> Result<bool> {
    validation::within("tolerance", tolerance, 0.0, f64::INFINITY)?;
    Ok(stats.max_error <= theoretical_max_error(params)? * (1.0 + tolerance))
}

/// The largest error in units of its group's scale: at most 0.5 (plus rounding) where nothing is clipped.
///
/// Unlike [`error_within_bounds`], every group is compared with its own scale.
///
/// # Errors
/// As for [`quantize_with_params`].
pub fn worst_error_in_steps(original: &[f32], shape: &[usize], params: &QuantParams) -> Result<f64> {
    let codes = quantize_with_params(original, shape, params)?;
    let decoded = dequantize_with_params(&codes, shape, params)?;
    let mut worst = 0.0f64;
    for run in params.layout(shape)?.runs(0..original.len()) {
        for (i, at) in run.range.enumerate() {
            let scale = params.scales[run.group + if run.stepped { i } else { 0 }];
            let error = (f64::from(original[at]) - f64::from(decoded[at])).abs();
            worst = worst.max(error / f64::from(scale));
        }
    }
    Ok(worst)
}
