//! From a range of values to a scale and a zero point: the rules, and the range of codes.

use crate::error::{Code, Error, Result};
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// Whether the zero point is fixed or computed from the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub enum QuantMode {
    /// `x = s q`: zero is in the middle of the codes. The usual choice for weights.
    #[default]
    Symmetric,
    /// `x = s (q - z)`: the range of the values, extended to include 0, is mapped to all codes.
    Asymmetric,
}

/// The range of allowed codes, `qmin..=qmax`, which includes zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct QuantRange {
    /// The smallest code.
    pub qmin: i32,
    /// The largest code.
    pub qmax: i32,
}

impl QuantRange {
    /// `-2^(bits-1) ..= 2^(bits-1) - 1`: the full range of a signed integer.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn signed(bits: u8) -> Result<Self> {
        let half = 1 << (check_bits(bits)? - 1);
        Ok(QuantRange { qmin: -half, qmax: half - 1 })
    }

    /// `-(2^(bits-1) - 1) ..= 2^(bits-1) - 1`: a signed integer without its lowest value, symmetric about zero.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn narrow(bits: u8) -> Result<Self> {
        let QuantRange { qmax, .. } = Self::signed(bits)?;
        Ok(QuantRange { qmin: -qmax, qmax })
    }

    /// `0 ..= 2^bits - 1`: the full range of an unsigned integer.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn unsigned(bits: u8) -> Result<Self> {
        Ok(QuantRange { qmin: 0, qmax: (1 << check_bits(bits)?) - 1 })
    }

    /// Whether codes are stored as signed integers, that is, whether any is negative.
    pub fn is_signed(self) -> bool {
        self.qmin < 0
    }

    /// The number of codes.
    pub fn levels(self) -> usize {
        self.qmax.abs_diff(self.qmin) as usize + 1
    }

    /// The zero point of symmetric codes: 0 if they are signed, otherwise the upper middle (128 for `0..=255`).
    pub fn middle(self) -> i32 {
        if self.is_signed() { 0 } else { self.qmax / 2 + 1 }
    }

    /// Checks that the codes fit `bits` bits and include zero.
    ///
    /// # Errors
    /// [`Code::RANGE`] if they do not.
    pub fn check(self, bits: u8) -> Result<()> {
        let all = if self.is_signed() { Self::signed(bits)? } else { Self::unsigned(bits)? };
        if (all.qmin..=0).contains(&self.qmin) && (0..=all.qmax).contains(&self.qmax) && self.qmin < self.qmax {
            return Ok(());
        }
        let QuantRange { qmin, qmax } = self;
        let message = format!(
            "the codes {qmin} to {qmax} are invalid for {bits} bits: there must be more than one code, including 0, within {} to {}",
            all.qmin, all.qmax
        );
        Err(Error::new(Code::RANGE, message)
            .with("qmin", f64::from(qmin))
            .with("qmax", f64::from(qmax))
            .with("bits", u32::from(bits)))
    }
}

fn check_bits(bits: u8) -> Result<u8> {
    validation::within("bits", bits, 2, 8).map(|()| bits)
}

/// How a symmetric scale follows from the largest magnitude `m`. The three rules agree for narrow ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub enum SymmetricRule {
    /// PyTorch's rule, `s = m / ((qmax - qmin) / 2)`. With a full range (`m / 127.5`) the largest positive value is
    /// clipped.
    #[default]
    Span,
    /// The rule of TensorRT and ONNX Runtime, `s = m / qmax`. With a full range the lowest code is unused.
    Positive,
    /// torchao's `SYMMETRIC_NO_CLIPPING_ERR`, `s = max(lo / qmin, hi / qmax)`. Nothing is clipped, and every code can
    /// occur.
    NoClipping,
}

/// Bits, mode, code range and rule: everything that determines the parameters except the values.
///
/// ```
/// use quantpress::affine::{QuantMode, QuantScheme};
/// let scheme = QuantScheme::new(8, QuantMode::Asymmetric)?;
/// assert_eq!(scheme.parameters(-1.0, 4.1)?, (0.02, 50));
/// # Ok::<(), quantpress::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuantScheme {
    bits: u8,
    mode: QuantMode,
    range: QuantRange,
    rule: SymmetricRule,
}

impl QuantScheme {
    /// Creates a scheme with the default codes of the mode: narrow signed ones for [`Symmetric`](QuantMode::Symmetric),
    /// unsigned ones for [`Asymmetric`](QuantMode::Asymmetric).
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8.
    pub fn new(bits: u8, mode: QuantMode) -> Result<Self> {
        let range = match mode {
            QuantMode::Symmetric => QuantRange::narrow(bits)?,
            QuantMode::Asymmetric => QuantRange::unsigned(bits)?,
        };
        Ok(QuantScheme { bits, mode, range, rule: SymmetricRule::default() })
    }

    /// Replaces the range of codes.
    ///
    /// # Errors
    /// [`Code::RANGE`] as for [`QuantRange::check`].
    pub fn with_range(self, range: QuantRange) -> Result<Self> {
        range.check(self.bits)?;
        Ok(QuantScheme { range, ..self })
    }

    /// Replaces the rule for symmetric scales.
    #[must_use]
    pub fn with_rule(self, rule: SymmetricRule) -> Self {
        QuantScheme { rule, ..self }
    }

    /// Bits per code, 2..=8.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Symmetric or asymmetric.
    pub fn mode(&self) -> QuantMode {
        self.mode
    }

    /// The range of codes.
    pub fn range(&self) -> QuantRange {
        self.range
    }

    /// The rule for symmetric scales.
    pub fn rule(&self) -> SymmetricRule {
        self.rule
    }

    /// Computes the scale and the zero point for values in `min..=max`, which is extended to include 0.
    ///
    /// Asymmetric: `s = (max - min) / (qmax - qmin)`, `z = clamp(qmin - round_half_even(min / s))`. Symmetric: `s` by
    /// the [`SymmetricRule`], `z` the [middle](QuantRange::middle). All in single precision, as in PyTorch. The only
    /// lower bound is `s >= f32::MIN_POSITIVE`, because `1 / s` would overflow below it; an all-zero range has that
    /// scale. If the largest code would decode to infinity, the scale is rounded down instead of up.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] for a NaN or infinite bound, [`Code::RANGE`] if `min > max` or if all codes are on one side
    /// of zero and the values on the other.
    pub fn parameters(&self, min: f32, max: f32) -> Result<(f32, i32)> {
        validation::finite(&[min, max], "range bound")?;
        if min > max {
            let message = format!("the range {min} to {max} is empty");
            return Err(Error::new(Code::RANGE, message).with("minimum", min).with("maximum", max));
        }
        let (lo, hi) = (if min < 0.0 { min } else { 0.0 }, if max > 0.0 { max } else { 0.0 });
        let QuantRange { qmin, qmax } = self.range;
        match self.mode {
            QuantMode::Asymmetric => {
                let steps = (qmax - qmin) as f32;
                // PyTorch subtracts first; if the difference overflows, divide first.
                let span = hi - lo;
                let scale = floor(if span.is_finite() { span / steps } else { hi / steps - lo / steps });
                let zero_point = qmin - (lo / scale).round_ties_even() as i32;
                self.finite(scale, zero_point.clamp(qmin, qmax))
            }
            QuantMode::Symmetric => {
                let middle = self.range.middle();
                let magnitude = if hi > -lo { hi } else { -lo };
                let scale = match self.rule {
                    SymmetricRule::Span => magnitude / ((qmax - qmin) as f32 / 2.0),
                    SymmetricRule::Positive => magnitude / (qmax - middle) as f32,
                    SymmetricRule::NoClipping => (lo / (qmin - middle) as f32).max(hi / (qmax - middle) as f32),
                };
                self.finite(floor(scale), middle)
            }
        }
    }

    /// Checks that the scale is finite. It is infinite if all codes are on one side of zero and the values on the
    /// other.
    fn finite(&self, scale: f32, zero_point: i32) -> Result<(f32, i32)> {
        let QuantRange { qmin, qmax } = self.range;
        if scale.is_finite() {
            return Ok((decodable(scale, (qmax - zero_point).max(zero_point - qmin)), zero_point));
        }
        let message =
            format!("no finite scale maps these values to the codes {qmin} to {qmax} with zero point {zero_point}");
        Err(Error::new(Code::RANGE, message).with("qmin", f64::from(qmin)).with("qmax", f64::from(qmax)))
    }
}

/// The scale, or the largest smaller one for which `steps` times the scale is finite.
fn decodable(scale: f32, steps: i32) -> f32 {
    let steps = steps as f32;
    if (scale * steps).is_finite() {
        return scale;
    }
    let most = f32::MAX / steps;
    if (most * steps).is_finite() { most } else { most.next_down() }
}

fn floor(scale: f32) -> f32 {
    if scale > f32::MIN_POSITIVE { scale } else { f32::MIN_POSITIVE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_ranges_have_their_bounds() {
        let of = |range: Result<QuantRange>| range.map(|r| (r.qmin, r.qmax, r.levels(), r.middle())).unwrap();
        assert_eq!(of(QuantRange::signed(8)), (-128, 127, 256, 0));
        assert_eq!(of(QuantRange::narrow(2)), (-1, 1, 3, 0));
        assert_eq!(of(QuantRange::unsigned(8)), (0, 255, 256, 128));
        assert_eq!(of(QuantRange::unsigned(2)), (0, 3, 4, 2));
    }

    #[test]
    fn rejects_widths_outside_two_to_eight() {
        for bits in [0, 1, 9, 16, 33, 255] {
            for range in [QuantRange::signed(bits), QuantRange::narrow(bits), QuantRange::unsigned(bits)] {
                assert_eq!(range.unwrap_err().code(), Code::RANGE, "{bits}");
            }
            assert_eq!(QuantScheme::new(bits, QuantMode::Symmetric).unwrap_err().code(), Code::RANGE);
        }
    }

    #[test]
    fn rejects_ranges_that_do_not_fit() {
        for (qmin, qmax) in [(-9, 7), (-8, 8), (0, 16), (1, 7), (3, 3), (0, 0), (-8, -1), (7, -8), (i32::MIN, i32::MAX)]
        {
            assert_eq!(QuantRange { qmin, qmax }.check(4).unwrap_err().code(), Code::RANGE, "{qmin}..{qmax}");
        }
        assert!(QuantRange { qmin: -8, qmax: 0 }.check(4).is_ok());
    }

    #[test]
    fn symmetric_rules_differ_only_on_full_ranges() {
        let scale = |range, rule| {
            let scheme = QuantScheme::new(8, QuantMode::Symmetric).unwrap().with_range(range).unwrap();
            scheme.with_rule(rule).parameters(-2.0, 1.0).unwrap()
        };
        let (narrow, full) = (QuantRange::narrow(8).unwrap(), QuantRange::signed(8).unwrap());
        for rule in [SymmetricRule::Span, SymmetricRule::Positive, SymmetricRule::NoClipping] {
            assert_eq!(scale(narrow, rule), (2.0 / 127.0, 0));
        }
        assert_eq!(scale(full, SymmetricRule::Span).0, 2.0 / 127.5);
        assert_eq!(scale(full, SymmetricRule::Positive).0, 2.0 / 127.0);
        assert_eq!(scale(full, SymmetricRule::NoClipping).0, 2.0 / 128.0);
        assert_eq!(scale(QuantRange::unsigned(8).unwrap(), SymmetricRule::Span), (2.0 / 127.5, 128));
    }

    #[test]
    fn every_code_of_the_largest_floats_decodes_to_a_finite_value() {
        let rules = [SymmetricRule::Span, SymmetricRule::Positive, SymmetricRule::NoClipping];
        for bits in 2..=8 {
            let ranges = [QuantRange::signed(bits), QuantRange::narrow(bits), QuantRange::unsigned(bits)];
            for (mode, range, rule) in [QuantMode::Symmetric, QuantMode::Asymmetric].into_iter().flat_map(|mode| {
                ranges.iter().flat_map(move |range| rules.map(|rule| (mode, *range.as_ref().unwrap(), rule)))
            }) {
                let scheme = QuantScheme::new(bits, mode).unwrap().with_range(range).unwrap().with_rule(rule);
                for (min, max) in [(f32::MIN, f32::MAX), (0.0, f32::MAX), (f32::MIN, 0.0), (f32::MIN, 1.0)] {
                    let Ok((scale, zero)) = scheme.parameters(min, max) else { continue };
                    for code in [range.qmin, range.qmax] {
                        let value = (code - zero) as f32 * scale;
                        assert!(value.is_finite(), "{bits} {mode:?} {range:?} {rule:?} {min} {max}: {value}");
                    }
                    let largest = (range.qmax - zero).max(zero - range.qmin) as f32 * scale;
                    assert!(largest > f32::MAX * 0.2, "{bits} {mode:?} {range:?} {rule:?}: {largest}");
                }
            }
        }
    }

    #[test]
    fn the_largest_floats_do_not_overflow_and_the_smallest_do_not_vanish() {
        let scheme = QuantScheme::new(8, QuantMode::Asymmetric).unwrap();
        let (scale, zero_point) = scheme.parameters(f32::MIN, f32::MAX).unwrap();
        assert!(scale.is_finite() && (127..=128).contains(&zero_point), "{scale} {zero_point}");
        assert_eq!(scheme.parameters(0.0, 0.0).unwrap(), (f32::MIN_POSITIVE, 0));
        assert_eq!(scheme.parameters(f32::NAN, 1.0).unwrap_err().code(), Code::NON_FINITE);
        assert_eq!(scheme.parameters(1.0, -1.0).unwrap_err().code(), Code::RANGE);
    }
}
