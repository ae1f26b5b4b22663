//! Scales and zero points, with all settings needed to check them against a tensor.

use super::granularity::{Layout, QuantGranularity};
use super::kernel::Affine;
use super::scheme::{QuantMode, QuantRange, QuantScheme};
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
use crate::validation;

/// The parameters of an affine quantization: `q = clamp(round_half_even(x / s) + z)`, `x = s (q - z)`.
///
/// The fields are public because this is a result type; functions that use it call [`check`](Self::check) first.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantParams {
    /// One per group, each finite and at least `f32::MIN_POSITIVE`.
    pub scales: Vec<f32>,
    /// One per group, each within `range`; empty if all zero points are 0.
    pub zero_points: Vec<i32>,
    /// Which values share a scale.
    pub granularity: QuantGranularity,
    /// Symmetric or asymmetric.
    pub mode: QuantMode,
    /// Bits per code, 2..=8.
    pub bits: u8,
    /// The range of allowed codes.
    pub range: QuantRange,
}

const TAG: [u8; 4] = *b"QPap";
const MODES: [QuantMode; 2] = [QuantMode::Symmetric, QuantMode::Asymmetric];

impl QuantParams {
    /// The parameters of a whole tensor with values in `low..=high`.
    pub(crate) fn per_tensor(scheme: &QuantScheme, low: f32, high: f32) -> Result<Self> {
        let (scale, zero_point) = scheme.parameters(low, high)?;
        let zero_points =
            if zero_point == 0 && scheme.mode() == QuantMode::Symmetric { vec![] } else { vec![zero_point] };
        let (granularity, mode, bits, range) =
            (QuantGranularity::PerTensor, scheme.mode(), scheme.bits(), scheme.range());
        Ok(QuantParams { scales: vec![scale], zero_points, granularity, mode, bits, range })
    }

    /// The number of scales.
    pub fn num_groups(&self) -> usize {
        self.scales.len()
    }

    /// Whether the mode is asymmetric, with zero points computed from the values.
    pub fn is_asymmetric(&self) -> bool {
        self.mode == QuantMode::Asymmetric
    }

    /// Whether codes are stored as signed integers.
    pub fn is_signed(&self) -> bool {
        self.range.is_signed()
    }

    /// The zero point of a group.
    pub fn zero_point(&self, group: usize) -> i32 {
        self.zero_points.get(group).copied().unwrap_or(0)
    }

    /// Checks that the parameters are valid in themselves.
    ///
    /// # Errors
    /// [`Code::RANGE`] for invalid bits, codes, scales or zero points, or if a code would decode to infinity;
    /// [`Code::LENGTH`] if there are zero points, but not one per scale.
    pub fn check(&self) -> Result<()> {
        self.range.check(self.bits)?;
        if let Some(index) = self.scales.iter().position(|s| !(s.is_finite() && *s >= f32::MIN_POSITIVE)) {
            let scale = self.scales[index];
            let message = format!("scale {index} is {scale}, and must be finite and at least {:e}", f32::MIN_POSITIVE);
            return Err(Error::new(Code::RANGE, message).with("index", index).with("scale", scale));
        }
        if !self.zero_points.is_empty() {
            validation::length("the list of zero points", self.zero_points.len(), self.scales.len())?;
        }
        let QuantRange { qmin, qmax } = self.range;
        if let Some(index) = self.zero_points.iter().position(|z| !(qmin..=qmax).contains(z)) {
            let zero_point = self.zero_points[index];
            let message = format!("zero point {index} is {zero_point}, and must be from {qmin} to {qmax}");
            return Err(Error::new(Code::RANGE, message).with("index", index).with("zeroPoint", f64::from(zero_point)));
        }
        // Codes are at most 255 steps from zero, so only scales above this need a check of their zero point.
        const SMALL: f32 = f32::MAX / 256.0;
        let overflows = |(index, &scale): (usize, &f32)| {
            let zero_point = self.zero_point(index);
            scale > SMALL && !(scale * (qmax - zero_point).max(zero_point - qmin) as f32).is_finite()
        };
        match self.scales.iter().enumerate().position(overflows) {
            None => Ok(()),
            Some(index) => {
                let scale = self.scales[index];
                let message =
                    format!("scale {index} is {scale:e}, and must be small enough for codes {qmin} to {qmax}");
                Err(Error::new(Code::RANGE, message).with("index", index).with("scale", scale))
            }
        }
    }

    /// Checks the parameters against a tensor of `shape` and returns its layout.
    ///
    /// # Errors
    /// As for [`check`](Self::check) and [`QuantGranularity::layout`]; [`Code::LENGTH`] if the shape needs a different
    /// number of scales.
    pub fn layout(&self, shape: &[usize]) -> Result<Layout> {
        self.check()?;
        let layout = self.granularity.layout(shape)?;
        if layout.groups() != self.scales.len() {
            let (have, need) = (self.scales.len(), layout.groups());
            let message = format!("a tensor of shape {shape:?} needs {need} scales, but there are {have}");
            return Err(Error::new(Code::LENGTH, message).with("actual", have).with("expected", need));
        }
        Ok(layout)
    }

    /// A group's parameters in the form the loops need.
    pub(super) fn affine(&self, group: usize) -> Affine {
        let scale = self.scales.get(group).copied().unwrap_or(1.0);
        Affine::new(scale, self.zero_point(group), self.range.qmin, self.range.qmax)
    }

    /// Size in memory: four bytes per scale and per stored zero point.
    pub fn memory_bytes(&self) -> usize {
        4 * (self.scales.len() + self.zero_points.len())
    }

    /// Serializes the parameters; [`from_bytes`](Self::from_bytes) reads them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(TAG, 1);
        self.write(&mut writer);
        writer.finish()
    }

    /// Reads parameters serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::TRUNCATED`], [`Code::MAGIC`], [`Code::MALFORMED`], [`Code::UNSUPPORTED`], and as for
    /// [`check`](Self::check).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, TAG, 1, "QuantParams")?;
        let params = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(params)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u8(self.bits).u8(self.mode as u8).i32(self.range.qmin).i32(self.range.qmax);
        self.granularity.write(writer);
        writer.f32s(&self.scales).i32s(&self.zero_points);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let bits = reader.u8()?;
        let mode = reader.choice(&MODES, "mode")?;
        let range = QuantRange { qmin: reader.i32()?, qmax: reader.i32()? };
        let granularity = QuantGranularity::read(reader)?;
        let params =
            QuantParams { scales: reader.f32s()?, zero_points: reader.i32s()?, granularity, mode, bits, range };
        params.check()?;
        Ok(params)
    }
}
