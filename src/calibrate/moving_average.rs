//! Exponential averages of the batches' minima and maxima.

use super::min_max::MinMax;

/// The averages, and the first batch, which is needed to merge two of these exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MovingAverage {
    /// The averages so far.
    pub now: MinMax,
    /// The minimum and maximum of the first batch.
    pub first: MinMax,
    /// The number of batches.
    pub batches: u64,
}

impl MovingAverage {
    /// The averages after the first batch: its own minimum and maximum.
    pub fn begin(batch: MinMax) -> Self {
        MovingAverage { now: batch, first: batch, batches: 1 }
    }

    /// Adds a batch: `m + momentum * (batch - m)`, in the order of operations of PyTorch.
    pub fn observe(&mut self, batch: MinMax, momentum: f32) {
        let step = |m: f32, x: f32| m + momentum * (x - m);
        self.now = MinMax { min: step(self.now.min, batch.min), max: step(self.now.max, batch.max) };
        self.batches += 1;
    }

    /// Appends the batches of `later` as if they had been observed here.
    ///
    /// The later averages are `(1-c)^(n-1) first + ...`. Started from `m`, their first term would be `(1-c)^n m + c
    /// (1-c)^(n-1) first`; the difference is `(1-c)^n (m - first)`, so no batch has to be observed again.
    pub fn append(&mut self, later: &MovingAverage, momentum: f32) {
        let keep = libm::pow(1.0 - f64::from(momentum), later.batches as f64);
        let join = |m: f32, first: f32, now: f32| (f64::from(now) + keep * (f64::from(m) - f64::from(first))) as f32;
        self.now = MinMax {
            min: join(self.now.min, later.first.min, later.now.min),
            max: join(self.now.max, later.first.max, later.now.max),
        };
        self.batches += later.batches;
    }
}
