//! What a calibrator answers with.

use super::method::CalibrationMethod;
use crate::affine::{QuantGranularity, QuantMode, QuantParams, QuantRange, QuantScheme};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// What a calibrator found: the step and the code of 0, and the range they follow from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalibrationResult {
    /// The step: `value = scale * (code - zero_point)`. Always positive and finite.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i32,
    /// Where the range begins, before it is extended to include 0. The method chose it: clipping methods cut tails off.
    pub observed_min: f32,
    /// Where the range ends.
    pub observed_max: f32,
    /// The method that chose.
    pub method: CalibrationMethod,
    /// Bits per code.
    pub bits: u8,
    /// Symmetric or asymmetric.
    pub mode: QuantMode,
    /// The codes.
    pub range: QuantRange,
}

impl CalibrationResult {
    /// Scale and zero point of a range, by the rule of the scheme ([`QuantScheme::parameters`]).
    pub(super) fn new(range: super::Extent, method: CalibrationMethod, scheme: &QuantScheme) -> Result<Self> {
        let (scale, zero_point) = scheme.parameters(range.min, range.max)?;
        let (bits, mode, codes) = (scheme.bits(), scheme.mode(), scheme.range());
        let (observed_min, observed_max) = (range.min, range.max);
        Ok(CalibrationResult { scale, zero_point, observed_min, observed_max, method, bits, mode, range: codes })
    }

    /// The same as parameters of a whole tensor, for [`quantize_with_params`](crate::affine::quantize_with_params).
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
