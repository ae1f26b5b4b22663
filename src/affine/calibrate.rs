//! Scales and zero points computed from the minimum and maximum of the values.

use super::granularity::{Layout, QuantGranularity};
use super::kernel;
use super::params::QuantParams;
use super::scheme::{QuantMode, QuantScheme};
use crate::error::{Code, Error, Result};
use crate::tiling::{Input, for_each_tile};
use crate::validation;

/// Returns the minimum and maximum of `values`.
///
/// # Errors
/// [`Code::NO_DATA`] if there are no values, [`Code::NON_FINITE`] with the index of the first NaN or infinite value.
pub fn min_max(values: &[f32]) -> Result<(f32, f32)> {
    if values.is_empty() {
        return Err(no_data());
    }
    match kernel::min_max(values) {
        (low, high, true) => Ok((low, high)),
        _ => validation::finite(values, "value").and(Err(no_data())),
    }
}

fn no_data() -> Error {
    Error::new(Code::NO_DATA, "cannot compute a scale: there are no values")
}

/// Computes one scale and zero point for the whole tensor.
///
/// # Errors
/// [`Code::RANGE`] unless `bits` is 2..=8, and as for [`min_max`].
pub fn calibrate_per_tensor(values: &[f32], bits: u8, mode: QuantMode) -> Result<QuantParams> {
    calibrate(values, &[values.len()], QuantGranularity::PerTensor, &QuantScheme::new(bits, mode)?)
}

/// Computes one scale and zero point per index of `axis`.
///
/// # Errors
/// [`Code::LENGTH`] if the number of values does not match `shape`, [`Code::RANGE`] for an invalid `bits` or `axis`,
/// and as for [`min_max`].
pub fn calibrate_per_channel(
    values: &[f32],
    shape: &[usize],
    axis: usize,
    bits: u8,
    mode: QuantMode,
) -> Result<QuantParams> {
    calibrate(values, shape, QuantGranularity::PerChannel { axis }, &QuantScheme::new(bits, mode)?)
}

/// Computes one scale and zero point per `size` neighbouring values of a row. Groups do not cross the end of a row.
///
/// # Errors
/// As for [`calibrate_per_channel`].
pub fn calibrate_per_group(
    values: &[f32],
    shape: &[usize],
    size: usize,
    bits: u8,
    mode: QuantMode,
) -> Result<QuantParams> {
    calibrate(values, shape, QuantGranularity::PerGroup { size }, &QuantScheme::new(bits, mode)?)
}

/// Computes the parameters for any granularity and scheme.
///
/// # Errors
/// As for [`calibrate_into`].
pub fn calibrate(
    values: &[f32],
    shape: &[usize],
    granularity: QuantGranularity,
    scheme: &QuantScheme,
) -> Result<QuantParams> {
    calibrate_tiles(values, shape, granularity, scheme)
}

/// [`calibrate`] for any array.
pub(crate) fn calibrate_tiles(
    values: impl Input<Item = f32>,
    shape: &[usize],
    granularity: QuantGranularity,
    scheme: &QuantScheme,
) -> Result<QuantParams> {
    ranges_of(values, shape, granularity)?.params(granularity, scheme)
}

/// The minimum and maximum of every group of a tensor.
///
/// # Errors
/// As for [`calibrate`].
pub(crate) fn ranges_of(
    values: impl Input<Item = f32>,
    shape: &[usize],
    granularity: QuantGranularity,
) -> Result<GroupRanges> {
    validation::shape("the tensor", values.len(), shape)?;
    let mut ranges = GroupRanges::new(granularity.layout(shape)?);
    for_each_tile(values, |values| ranges.add(values))?;
    Ok(ranges)
}

/// [`calibrate`] into caller's buffers with one element per group ([`Layout::groups`]).
///
/// # Errors
/// [`Code::LENGTH`] for values or buffers that do not match the shape, [`Code::RANGE`] for a granularity that the shape
/// does not allow, [`Code::NO_DATA`] for an empty tensor, [`Code::NON_FINITE`] with the index of the first NaN or
/// infinite value.
pub fn calibrate_into(
    values: &[f32],
    shape: &[usize],
    granularity: QuantGranularity,
    scheme: &QuantScheme,
    scales: &mut [f32],
    zero_points: &mut [i32],
) -> Result<()> {
    validation::shape("the tensor", values.len(), shape)?;
    let layout = granularity.layout(shape)?;
    validation::length("the output of scales", scales.len(), layout.groups())?;
    validation::length("the output of zero points", zero_points.len(), layout.groups())?;
    for_each_range(values, &layout, |group, low, high| {
        let (scale, zero_point) = scheme.parameters(low, high)?;
        // Both have one element per group, as checked above.
        if let (Some(s), Some(z)) = (scales.get_mut(group), zero_points.get_mut(group)) {
            (*s, *z) = (scale, zero_point);
        }
        Ok(())
    })
}

/// Calls `each` with the index, minimum and maximum of every group.
///
/// # Errors
/// [`Code::NO_DATA`], [`Code::NON_FINITE`], and the errors of `each`.
pub fn for_each_range(values: &[f32], layout: &Layout, each: impl FnMut(usize, f32, f32) -> Result<()>) -> Result<()> {
    validation::length("the tensor", values.len(), layout.len())?;
    if layout.is_empty() {
        // Checked before allocating, because a tensor without values can have any number of groups.
        return Err(no_data());
    }
    let mut ranges = GroupRanges::new(*layout);
    ranges.add(values)?;
    ranges.for_each(each)
}

/// The minimum and maximum of every group of a tensor that is added in parts.
pub struct GroupRanges {
    layout: Layout,
    seen: usize,
    lows: Vec<f32>,
    highs: Vec<f32>,
}

impl GroupRanges {
    /// Starts with no values.
    pub fn new(layout: Layout) -> Self {
        let groups = if layout.is_empty() { 0 } else { layout.groups() };
        let (lows, highs) = (vec![f32::INFINITY; groups], vec![f32::NEG_INFINITY; groups]);
        GroupRanges { layout, seen: 0, lows, highs }
    }

    /// Adds the next values of the tensor.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the index in the tensor of the first NaN or infinite value.
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
        match if bad == 0 { None } else { validation::first_non_finite(values) } {
            None => Ok(()),
            Some(index) => Err(validation::non_finite(values[index], start + index, "value")),
        }
    }

    /// Calls `each` with the index, minimum and maximum of every group.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if the tensor is incomplete, [`Code::NO_DATA`] if it has no values, and the errors of `each`.
    pub fn for_each(&self, mut each: impl FnMut(usize, f32, f32) -> Result<()>) -> Result<()> {
        validation::length("the tensor", self.seen, self.layout.len())?;
        if self.layout.is_empty() {
            return Err(no_data());
        }
        self.lows.iter().zip(&self.highs).enumerate().try_for_each(|(group, (&low, &high))| each(group, low, high))
    }

    /// Computes the parameters of every group.
    ///
    /// # Errors
    /// As for [`for_each`](Self::for_each) and [`QuantScheme::parameters`].
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
