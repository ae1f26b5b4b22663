//! Scales and zero points from the values themselves, by their smallest and largest.

use super::kernel;
use super::layout::{Layout, QuantGranularity};
use super::params::QuantParams;
use super::scheme::{QuantMode, QuantScheme};
use crate::check;
use crate::error::{Code, Error, Result};

/// The smallest and the largest of `values`.
///
/// # Errors
/// [`Code::NO_DATA`] if there are none, [`Code::NON_FINITE`] with the index of the first that is no number.
pub fn min_max(values: &[f32]) -> Result<(f32, f32)> {
    if values.is_empty() {
        return Err(no_data());
    }
    match kernel::min_max(values) {
        (low, high, true) => Ok((low, high)),
        _ => check::finite(values, "value").and(Err(no_data())),
    }
}

fn no_data() -> Error {
    Error::new(Code::NO_DATA, "there are no values, so there is no range to compute a scale from")
}

/// The scale and zero point of a whole tensor.
///
/// # Errors
/// [`Code::RANGE`] unless `bits` is 2..=8, and those of [`min_max`].
pub fn calibrate_per_tensor(values: &[f32], bits: u8, mode: QuantMode) -> Result<QuantParams> {
    calibrate(values, &[values.len()], QuantGranularity::PerTensor, &QuantScheme::new(bits, mode)?)
}

/// One scale and zero point for every index on `axis`.
///
/// # Errors
/// [`Code::LENGTH`] if `values` are not as many as `shape` says, [`Code::RANGE`] for `bits` or an axis that cannot be,
/// and those of [`min_max`].
pub fn calibrate_per_channel(
    values: &[f32],
    shape: &[usize],
    axis: usize,
    bits: u8,
    mode: QuantMode,
) -> Result<QuantParams> {
    calibrate(values, shape, QuantGranularity::PerChannel { axis }, &QuantScheme::new(bits, mode)?)
}

/// One scale and zero point for every `size` neighbours of a row; no group crosses a row's end.
///
/// # Errors
/// As [`calibrate_per_channel`].
pub fn calibrate_per_group(
    values: &[f32],
    shape: &[usize],
    size: usize,
    bits: u8,
    mode: QuantMode,
) -> Result<QuantParams> {
    calibrate(values, shape, QuantGranularity::PerGroup { size }, &QuantScheme::new(bits, mode)?)
}

/// Parameters of any granularity and scheme.
///
/// # Errors
/// As [`calibrate_into`].
pub fn calibrate(
    values: &[f32],
    shape: &[usize],
    granularity: QuantGranularity,
    scheme: &QuantScheme,
) -> Result<QuantParams> {
    check::shape("the tensor", values.len(), shape)?;
    let mut ranges = GroupRanges::new(granularity.layout(shape)?);
    ranges.add(values)?;
    ranges.params(granularity, scheme)
}

/// [`calibrate`] into buffers of one element per group ([`Layout::groups`]).
///
/// # Errors
/// [`Code::LENGTH`] for values or buffers that do not fit the shape, [`Code::RANGE`] for a granularity it does not
/// have, [`Code::NO_DATA`] for a tensor without values, [`Code::NON_FINITE`] with the index of the first value that is
/// no number.
pub fn calibrate_into(
    values: &[f32],
    shape: &[usize],
    granularity: QuantGranularity,
    scheme: &QuantScheme,
    scales: &mut [f32],
    zero_points: &mut [i32],
) -> Result<()> {
    check::shape("the tensor", values.len(), shape)?;
    let layout = granularity.layout(shape)?;
    check::length("the output of scales", scales.len(), layout.groups())?;
    check::length("the output of zero points", zero_points.len(), layout.groups())?;
    for_each_range(values, &layout, |group, low, high| {
        let (scale, zero_point) = scheme.parameters(low, high)?;
        // Both were checked to have one element per group.
        if let (Some(s), Some(z)) = (scales.get_mut(group), zero_points.get_mut(group)) {
            (*s, *z) = (scale, zero_point);
        }
        Ok(())
    })
}

/// Calls `each` with every group's index, smallest and largest value; `values` are as many as the layout says.
///
/// # Errors
/// [`Code::NO_DATA`], [`Code::NON_FINITE`], and what `each` fails with.
pub fn for_each_range(values: &[f32], layout: &Layout, each: impl FnMut(usize, f32, f32) -> Result<()>) -> Result<()> {
    check::length("the tensor", values.len(), layout.len())?;
    if layout.is_empty() {
        // Before memory is taken for groups that such a tensor can have in any number.
        return Err(no_data());
    }
    let mut ranges = GroupRanges::new(*layout);
    ranges.add(values)?;
    ranges.for_each(each)
}

/// The smallest and the largest value of every group, of a tensor that comes in parts.
pub struct GroupRanges {
    layout: Layout,
    seen: usize,
    lows: Vec<f32>,
    highs: Vec<f32>,
}

impl GroupRanges {
    /// Nothing was seen of the tensor.
    pub fn new(layout: Layout) -> Self {
        let groups = if layout.is_empty() { 0 } else { layout.groups() };
        let (lows, highs) = (vec![f32::INFINITY; groups], vec![f32::NEG_INFINITY; groups]);
        GroupRanges { layout, seen: 0, lows, highs }
    }

    /// Adds the values that follow.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the index of the first that is no number, counted from the tensor's start.
    pub fn add(&mut self, values: &[f32]) -> Result<()> {
        let start = self.seen;
        self.seen += values.len();
        let mut bad = 0;
        for run in self.layout.runs(start..self.seen) {
            let values = &values[run.range.start - start..run.range.end - start];
            let (lows, highs) = (&mut self.lows[run.group..], &mut self.highs[run.group..]);
            if run.stepped {
                for ((low, high), &x) in lows.iter_mut().zip(highs).zip(values) {
                    bad |= kernel::special(x);
                    *low = if x < *low { x } else { *low };
                    *high = if x > *high { x } else { *high };
                }
            } else {
                let (low, high, finite) = kernel::min_max(values);
                bad |= u32::from(!finite);
                lows[0] = if low < lows[0] { low } else { lows[0] };
                highs[0] = if high > highs[0] { high } else { highs[0] };
            }
        }
        match if bad == 0 { None } else { check::first_non_finite(values) } {
            None => Ok(()),
            Some(index) => Err(check::non_finite(values[index], start + index, "value")),
        }
    }

    /// Calls `each` with every group's index, smallest and largest value.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if the tensor is not complete, [`Code::NO_DATA`] if it has no values, and what `each` fails with.
    pub fn for_each(&self, mut each: impl FnMut(usize, f32, f32) -> Result<()>) -> Result<()> {
        check::length("the tensor", self.seen, self.layout.len())?;
        if self.layout.is_empty() {
            return Err(no_data());
        }
        self.lows.iter().zip(&self.highs).enumerate().try_for_each(|(group, (&low, &high))| each(group, low, high))
    }

    /// The parameters of every group.
    ///
    /// # Errors
    /// As [`for_each`](Self::for_each), and those of [`QuantScheme::parameters`].
    pub fn params(&self, granularity: QuantGranularity, scheme: &QuantScheme) -> Result<QuantParams> {
        let (mut scales, mut zero_points) = (Vec::with_capacity(self.lows.len()), Vec::with_capacity(self.lows.len()));
        self.for_each(|_, low, high| {
            let (scale, zero_point) = scheme.parameters(low, high)?;
            scales.push(scale);
            zero_points.push(zero_point);
            Ok(())
        })?;
        if zero_points.iter().all(|&z| z == 0) && scheme.mode() == QuantMode::Symmetric {
            zero_points.clear();
        }
        let (mode, bits, range) = (scheme.mode(), scheme.bits(), scheme.range());
        Ok(QuantParams { scales, zero_points, granularity, mode, bits, range })
    }
}
