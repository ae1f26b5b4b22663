//! The ranges that a fake quantization observes during training.

use crate::affine::GroupRanges;
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
use crate::validation;

/// How the ranges of batches are combined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeRule {
    /// Minimum and maximum of all batches: PyTorch's `MinMaxObserver`.
    MinMax,
    /// `m += momentum (batch - m)`, initialized by the first batch: PyTorch's `MovingAverageMinMaxObserver`.
    MovingAverage {
        /// The weight of a new batch, above 0 and at most 1; PyTorch's `averaging_constant`.
        momentum: f32,
    },
}

impl Default for RangeRule {
    fn default() -> Self {
        RangeRule::MovingAverage { momentum: 0.01 }
    }
}

impl RangeRule {
    /// Checks the momentum.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless it is above 0 and at most 1.
    pub fn check(self) -> Result<()> {
        match self {
            RangeRule::MovingAverage { momentum } if !(momentum > 0.0 && momentum <= 1.0) => {
                let message = format!("momentum is {momentum}, and must be above 0 and at most 1");
                Err(Error::new(Code::RANGE, message).with("momentum", momentum))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write(self, out: &mut Writer) {
        match self {
            RangeRule::MinMax => out.u8(0).f32(0.0),
            RangeRule::MovingAverage { momentum } => out.u8(1).f32(momentum),
        };
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self> {
        let (kind, momentum) = (input.u8()?, input.f32()?);
        let rule = match kind {
            0 => RangeRule::MinMax,
            1 => RangeRule::MovingAverage { momentum },
            _ => return Err(input.malformed(format!("range rule {kind}"))),
        };
        rule.check().map(|()| rule)
    }
}

/// The running range of a tensor, or of each of its channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    /// The minima; empty before the first batch.
    pub lows: Vec<f32>,
    /// The maxima.
    pub highs: Vec<f32>,
}

impl Ranges {
    /// Updates the ranges with those of a batch. After an error the state is unchanged.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] for an empty batch, [`Code::LENGTH`] if earlier batches had a different number of channels.
    pub fn observe(&mut self, ranges: &GroupRanges, rule: RangeRule) -> Result<()> {
        let mut batch = Ranges::default();
        ranges.for_each(|_, low, high| {
            batch.lows.push(low);
            batch.highs.push(high);
            Ok(())
        })?;
        if self.lows.is_empty() {
            *self = batch;
            return Ok(());
        }
        validation::length("the batch's list of channels", batch.lows.len(), self.lows.len())?;
        let blend = |old: &mut f32, new: f32, extreme: fn(f32, f32) -> f32| {
            *old = match rule {
                RangeRule::MinMax => extreme(*old, new),
                RangeRule::MovingAverage { momentum } => *old + momentum * (new - *old),
            };
        };
        self.lows.iter_mut().zip(batch.lows).for_each(|(old, new)| blend(old, new, f32::min));
        self.highs.iter_mut().zip(batch.highs).for_each(|(old, new)| blend(old, new, f32::max));
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.f32s(&self.lows).f32s(&self.highs);
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self> {
        let ranges = Ranges { lows: input.f32s()?, highs: input.f32s()? };
        let finite = ranges.lows.iter().chain(&ranges.highs).all(|x| x.is_finite());
        if ranges.lows.len() != ranges.highs.len() || !finite {
            let (lows, highs) = (ranges.lows.len(), ranges.highs.len());
            return Err(input.malformed(format!("ranges with {lows} minima and {highs} maxima")));
        }
        Ok(ranges)
    }
}
