//! Which values share a scale: granularities, and the runs of a row-major tensor with the same scale.

use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
#[cfg(feature = "serde")]
use crate::tagged_enum::{required, unknown_kind};
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which values share a scale and a zero point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Fields", tag = "kind", rename_all = "camelCase"))]
pub enum QuantGranularity {
    /// All values of the tensor.
    #[default]
    PerTensor,
    /// Values with the same index on one axis.
    PerChannel {
        /// The axis, from 0.
        axis: usize,
    },
    /// `size` neighbouring values of a row (the last axis). Groups do not cross the end of a row, so a row's last group
    /// may be shorter.
    PerGroup {
        /// Values per group.
        size: usize,
    },
}

/// The serialized form of a granularity.
#[cfg(feature = "serde")]
#[derive(Deserialize)]
struct Fields {
    kind: String,
    axis: Option<usize>,
    size: Option<usize>,
}

#[cfg(feature = "serde")]
impl TryFrom<Fields> for QuantGranularity {
    type Error = String;

    fn try_from(Fields { kind, axis, size }: Fields) -> Result<Self, String> {
        Ok(match &*kind {
            "perTensor" => QuantGranularity::PerTensor,
            "perChannel" => QuantGranularity::PerChannel { axis: required(&kind, "axis", axis)? },
            "perGroup" => QuantGranularity::PerGroup { size: required(&kind, "size", size)? },
            _ => return unknown_kind(&kind, &["perTensor", "perChannel", "perGroup"]),
        })
    }
}

impl QuantGranularity {
    /// Divides a tensor of `shape` into groups.
    ///
    /// # Errors
    /// [`Code::RANGE`] for an axis that the shape does not have or a group size of 0, [`Code::TOO_LARGE`] if the shape
    /// overflows.
    pub fn layout(self, shape: &[usize]) -> Result<Layout> {
        let len = validation::elements(shape)?;
        let kind = match self {
            QuantGranularity::PerTensor => Kind::Tensor,
            QuantGranularity::PerChannel { axis } => {
                let Some((&channels, inner)) = shape.get(axis..).and_then(<[usize]>::split_first) else {
                    let message = format!("axis {axis} does not exist in a tensor of {} dimensions", shape.len());
                    return Err(Error::new(Code::RANGE, message).with("axis", axis).with("dimensions", shape.len()));
                };
                Kind::Channel { channels, inner: validation::elements(inner)? }
            }
            QuantGranularity::PerGroup { size: 0 } => {
                return Err(Error::new(Code::RANGE, "the group size is 0, and must be at least 1").with("size", 0u32));
            }
            QuantGranularity::PerGroup { size } => {
                let row = shape.last().copied().unwrap_or(1);
                Kind::Group { size, row, per_row: row.div_ceil(size) }
            }
        };
        Ok(Layout { len, kind })
    }

    pub(crate) fn write(self, out: &mut Writer) {
        let (kind, argument) = match self {
            QuantGranularity::PerTensor => (0, 0),
            QuantGranularity::PerChannel { axis } => (1, axis),
            QuantGranularity::PerGroup { size } => (2, size),
        };
        out.u8(kind).count(argument);
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self> {
        Ok(match (input.u8()?, input.count()?) {
            (0, 0) => QuantGranularity::PerTensor,
            (1, axis) => QuantGranularity::PerChannel { axis },
            (2, size) => QuantGranularity::PerGroup { size },
            (kind, argument) => return Err(input.malformed(format!("granularity {kind} with argument {argument}"))),
        })
    }
}

/// A granularity applied to a shape: the number of scales, and the group of each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    len: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tensor,
    Channel { channels: usize, inner: usize },
    Group { size: usize, row: usize, per_row: usize },
}

/// Consecutive values that share a scale or, if `stepped`, have consecutive scales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The indices of the values.
    pub range: Range<usize>,
    /// The group of the first value.
    pub group: usize,
    /// Whether each value uses the next scale: the channel axis is the last one.
    pub stepped: bool,
}

impl Layout {
    /// The number of values of the tensor.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the tensor has no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of groups, that is, of scales.
    pub fn groups(&self) -> usize {
        match self.kind {
            Kind::Tensor => 1,
            Kind::Channel { channels, .. } => channels,
            Kind::Group { row: 0, .. } => 0,
            Kind::Group { row, per_row, .. } => self.len / row * per_row,
        }
    }

    /// Whether neighbouring values have neighbouring scales (see [`Run::stepped`]).
    pub fn is_stepped(&self) -> bool {
        matches!(self.kind, Kind::Channel { inner: 1, .. })
    }

    /// The part of a run from value `at < len` to its end.
    fn run(&self, at: usize) -> Run {
        let stepped = self.is_stepped();
        let (group, end) = match self.kind {
            Kind::Tensor => (0, self.len),
            Kind::Channel { channels, inner: 1 } => (at % channels, at / channels * channels + channels),
            Kind::Channel { channels, inner } => (at / inner % channels, (at / inner + 1) * inner),
            Kind::Group { size, row, per_row } => {
                let (index, column) = (at / row, at % row);
                let group = column / size;
                (index * per_row + group, index * row + row.min((group + 1).saturating_mul(size)))
            }
        };
        Run { range: at..end, group, stepped }
    }

    /// The runs that cover `within`, in order, cut at its ends.
    pub fn runs(&self, within: Range<usize>) -> impl Iterator<Item = Run> {
        let (layout, end) = (*self, within.end.min(self.len));
        let mut at = within.start;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let mut run = layout.run(at);
            run.range.end = run.range.end.min(end);
            at = run.range.end;
            Some(run)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A simple reference implementation: the group of every value.
    fn groups(granularity: QuantGranularity, shape: &[usize]) -> Vec<usize> {
        let len = shape.iter().product::<usize>();
        let row = shape.last().copied().unwrap_or(1);
        (0..len)
            .map(|i| match granularity {
                QuantGranularity::PerTensor => 0,
                QuantGranularity::PerChannel { axis } => i / shape[axis + 1..].iter().product::<usize>() % shape[axis],
                QuantGranularity::PerGroup { size } => i / row * row.div_ceil(size) + i % row / size,
            })
            .collect()
    }

    #[test]
    fn runs_cover_every_value_once_with_the_right_group() {
        let granularities = [
            QuantGranularity::PerTensor,
            QuantGranularity::PerChannel { axis: 0 },
            QuantGranularity::PerChannel { axis: 1 },
            QuantGranularity::PerChannel { axis: 2 },
            QuantGranularity::PerGroup { size: 1 },
            QuantGranularity::PerGroup { size: 3 },
            QuantGranularity::PerGroup { size: 100 },
            QuantGranularity::PerGroup { size: usize::MAX },
        ];
        for shape in [[2, 3, 4], [5, 1, 7], [1, 1, 1], [3, 4, 1], [2, 0, 3]] {
            for granularity in granularities {
                let layout = granularity.layout(&shape).unwrap();
                let want = groups(granularity, &shape);
                for cut in [1, 5, 1000] {
                    let mut got = Vec::new();
                    for start in (0..layout.len()).step_by(cut) {
                        for run in layout.runs(start..start + cut) {
                            assert_eq!(run.range.start, got.len(), "{granularity:?} {shape:?}");
                            got.extend(
                                run.range
                                    .clone()
                                    .map(|i| run.group + if run.stepped { i - run.range.start } else { 0 }),
                            );
                        }
                    }
                    assert_eq!(got, want, "{granularity:?} {shape:?} cut {cut}");
                }
                assert!(want.iter().all(|&g| g < layout.groups()));
                assert!(
                    layout.is_empty() || want.iter().max() == Some(&(layout.groups() - 1)),
                    "{granularity:?} {shape:?}"
                );
            }
        }
    }

    #[test]
    fn rejects_axes_groups_and_sizes_that_do_not_fit_a_shape() {
        let fails = |granularity: QuantGranularity, shape: &[usize]| granularity.layout(shape).unwrap_err().code();
        assert_eq!(fails(QuantGranularity::PerChannel { axis: 2 }, &[3, 4]), Code::RANGE);
        assert_eq!(fails(QuantGranularity::PerChannel { axis: 0 }, &[]), Code::RANGE);
        assert_eq!(fails(QuantGranularity::PerGroup { size: 0 }, &[3, 4]), Code::RANGE);
        assert_eq!(fails(QuantGranularity::PerTensor, &[usize::MAX, 3]), Code::TOO_LARGE);
    }
}
