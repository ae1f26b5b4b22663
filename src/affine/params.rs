//! Scales and zero points with everything that is needed to check them against a tensor.

use super::kernel::Affine;
use super::layout::{Layout, QuantGranularity};
use super::scheme::{QuantMode, QuantRange, QuantScheme};
use crate::check;
use crate::error::{Code, Error, Result};
use crate::wire::{Reader, Writer};

/// The parameters of an affine quantization: `q = clamp(round_half_even(x / s) + z)`, `x = s (q - z)`.
///
/// The fields are open, as they are results; whatever uses them checks them first ([`check`](Self::check)).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantParams {
    /// One per group, each finite and at least `f32::MIN_POSITIVE`.
    pub scales: Vec<f32>,
    /// One per group, each within `range`; none at all if every zero point is 0.
    pub zero_points: Vec<i32>,
    /// Which values share a scale.
    pub granularity: QuantGranularity,
    /// Symmetric or asymmetric.
    pub mode: QuantMode,
    /// Bits per code, 2..=8.
    pub bits: u8,
    /// The codes that may be used.
    pub range: QuantRange,
}

const TAG: [u8; 4] = *b"QPap";
const MODES: [QuantMode; 2] = [QuantMode::Symmetric, QuantMode::Asymmetric];

impl QuantParams {
    /// Those of a whole tensor whose values lie in `low..=high`.
    pub(crate) fn per_tensor(scheme: &QuantScheme, low: f32, high: f32) -> Result<Self> {
        let (scale, zero_point) = scheme.parameters(low, high)?;
        let zero_points =
            if zero_point == 0 && scheme.mode() == QuantMode::Symmetric { vec![] } else { vec![zero_point] };
        let (granularity, mode, bits, range) =
            (QuantGranularity::PerTensor, scheme.mode(), scheme.bits(), scheme.range());
        Ok(QuantParams { scales: vec![scale], zero_points, granularity, mode, bits, range })
    }

    /// How many scales there are.
    pub fn num_groups(&self) -> usize {
        self.scales.len()
    }

    /// Whether the zero points follow from the values.
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

    /// The parameters are usable in themselves.
    ///
    /// # Errors
    /// [`Code::RANGE`] for bits, codes, a scale or a zero point that cannot be, or a code that decodes to infinity;
    /// [`Code::LENGTH`] if there are zero points but not one per scale.
    pub fn check(&self) -> Result<()> {
        self.range.check(self.bits)?;
        if let Some(index) = self.scales.iter().position(|s| !(s.is_finite() && *s >= f32::MIN_POSITIVE)) {
            let scale = self.scales[index];
            let message = format!("scale {index} is {scale}, and must be finite and at least {:e}", f32::MIN_POSITIVE);
            return Err(Error::new(Code::RANGE, message).with("index", index).with("scale", scale));
        }
        if !self.zero_points.is_empty() {
            check::length("the list of zero points", self.zero_points.len(), self.scales.len())?;
        }
        let QuantRange { qmin, qmax } = self.range;
        if let Some(index) = self.zero_points.iter().position(|z| !(qmin..=qmax).contains(z)) {
            let zero_point = self.zero_points[index];
            let message = format!("zero point {index} is {zero_point}, and must be from {qmin} to {qmax}");
            return Err(Error::new(Code::RANGE, message).with("index", index).with("zeroPoint", f64::from(zero_point)));
        }
        // Codes lie at most 255 steps from zero: other scales need no look at their zero points.
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

    /// The parameters are usable and fit a tensor of `shape`: the layout to use them with.
    ///
    /// # Errors
    /// As [`check`](Self::check) and [`QuantGranularity::layout`]; [`Code::LENGTH`] if the shape needs another number
    /// of scales.
    pub fn layout(&self, shape: &[usize]) -> Result<Layout> {
        self.check()?;
        let layout = self.granularity.layout(shape)?;
        if layout.groups() != self.scales.len() {
            let (have, need) = (self.scales.len(), layout.groups());
            let message = format!("a tensor of shape {shape:?} needs {need} scales, and there are {have}");
            return Err(Error::new(Code::LENGTH, message).with("actual", have).with("expected", need));
        }
        Ok(layout)
    }

    /// The loop form of a group's parameters.
    pub(super) fn affine(&self, group: usize) -> Affine {
        let scale = self.scales.get(group).copied().unwrap_or(1.0);
        Affine::new(scale, self.zero_point(group), self.range.qmin, self.range.qmax)
    }

    /// What the parameters take in memory: four bytes per scale and per stored zero point.
    pub fn memory_bytes(&self) -> usize {
        4 * (self.scales.len() + self.zero_points.len())
    }

    /// The parameters as bytes, for [`from_bytes`](Self::from_bytes).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(TAG, 1);
        self.write(&mut writer);
        writer.finish()
    }

    /// The parameters that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Code::TRUNCATED`], [`Code::MAGIC`], [`Code::MALFORMED`], [`Code::UNSUPPORTED`], and those of
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
