//! The ranges a fake quantization sees while it trains.

use crate::affine::{Layout, for_each_range};
use crate::check;
use crate::error::{Code, Error, Result};

/// How the ranges of batches become one range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeRule {
    /// The smallest and the largest of all batches: PyTorch's `MinMaxObserver`.
    MinMax,
    /// `m += momentum (batch - m)`, the first batch as it is: PyTorch's `MovingAverageMinMaxObserver`.
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
    /// The momentum is one.
    ///
    /// # Errors
    /// [`Code::RANGE`].
    pub fn check(self) -> Result<()> {
        match self {
            RangeRule::MovingAverage { momentum } if !(momentum > 0.0 && momentum <= 1.0) => {
                let message = format!("momentum is {momentum}, and must be above 0 and at most 1");
                Err(Error::new(Code::RANGE, message).with("momentum", momentum))
            }
            _ => Ok(()),
        }
    }
}

/// The running range of a tensor, or of each of its channels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    /// The smallest values; none before the first batch.
    pub lows: Vec<f32>,
    /// The largest values.
    pub highs: Vec<f32>,
}

impl Ranges {
    /// Takes a batch in. A batch with a value that is no number is an error and changes nothing.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with its index, [`Code::NO_DATA`] for an empty batch, [`Code::LENGTH`] if the batches
    /// before had another number of channels.
    pub fn observe(&mut self, values: &[f32], layout: &Layout, rule: RangeRule) -> Result<()> {
        let groups = if values.is_empty() { 0 } else { layout.groups() };
        let mut batch = Ranges { lows: vec![0.0; groups], highs: vec![0.0; groups] };
        for_each_range(values, layout, |group, low, high| {
            (batch.lows[group], batch.highs[group]) = (low, high);
            Ok(())
        })?;
        if self.lows.is_empty() {
            *self = batch;
            return Ok(());
        }
        check::length("the batch's list of channels", groups, self.lows.len())?;
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
}
