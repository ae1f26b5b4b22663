//! The result of a calibrator.

use super::method::CalibrationMethod;
use crate::affine::{QuantGranularity, QuantMode, QuantParams, QuantRange, QuantScheme};
use crate::error::Result;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The result of a calibration: a scale and zero point, and the range they were computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct CalibrationResult {
    /// The scale: `value = scale * (code - zero_point)`. Positive and finite.
    pub scale: f32,
    /// The zero point: the code of 0.
    pub zero_point: i32,
    /// The lower end of the range, before it is extended to include 0. Methods that clip choose it above the observed
    /// minimum.
    pub observed_min: f32,
    /// The upper end of the range.
    pub observed_max: f32,
    /// The method that determined the range.
    pub method: CalibrationMethod,
    /// Bits per code.
    pub bits: u8,
    /// Symmetric or asymmetric.
    pub mode: QuantMode,
    /// The range of codes.
    pub range: QuantRange,
}

impl CalibrationResult {
    /// Computes the scale and zero point of a range with [`QuantScheme::parameters`].
    pub(super) fn new(range: super::min_max::MinMax, method: CalibrationMethod, scheme: &QuantScheme) -> Result<Self> {
        let (scale, zero_point) = scheme.parameters(range.min, range.max)?;
        let (bits, mode, codes) = (scheme.bits(), scheme.mode(), scheme.range());
        let (observed_min, observed_max) = (range.min, range.max);
        Ok(CalibrationResult { scale, zero_point, observed_min, observed_max, method, bits, mode, range: codes })
    }

    /// The result as per-tensor parameters for [`quantize_with_params`](crate::affine::quantize_with_params).
    pub fn params(&self) -> QuantParams {
        let zero_points = if self.zero_point == 0 { Vec::new() } else { vec![self.zero_point] };
        let granularity = QuantGranularity::PerTensor;
        QuantParams {
            scales: vec![self.scale],
            zero_points,
            granularity,
            mode: self.mode,
            bits: self.bits,
            range: self.range,
        }
    }
}
