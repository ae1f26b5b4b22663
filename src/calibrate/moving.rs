//! Exponential averages of the batches' extremes.

use super::extent::Extent;

/// The averages, and the first batch: with it two of these can be joined exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moving {
    /// The averages so far.
    pub now: Extent,
    /// The extremes of the first batch.
    pub first: Extent,
    /// How many batches there were.
    pub batches: u64,
}

impl Moving {
    /// The averages after the first batch: its own extremes.
    pub fn begin(batch: Extent) -> Self {
        Moving { now: batch, first: batch, batches: 1 }
    }

    /// One more batch: `m + momentum * (batch - m)`, in the order PyTorch computes it.
    pub fn observe(&mut self, batch: Extent, momentum: f32) {
        let step = |m: f32, x: f32| m + momentum * (x - m);
        self.now = Extent { min: step(self.now.min, batch.min), max: step(self.now.max, batch.max) };
        self.batches += 1;
    }

    /// As if the batches of `later` had followed here.
    ///
    /// The later averages are `(1-c)^(n-1) first + ...`; had they begun from `m`, their first term would be
    /// `(1-c)^n m + c (1-c)^(n-1) first`. The difference is `(1-c)^n (m - first)`: no batch is needed again.
    pub fn append(&mut self, later: &Moving, momentum: f32) {
        let keep = libm::pow(1.0 - f64::from(momentum), later.batches as f64);
        let join = |m: f32, first: f32, now: f32| (f64::from(now) + keep * (f64::from(m) - f64::from(first))) as f32;
        self.now = Extent {
            min: join(self.now.min, later.first.min, later.now.min),
            max: join(self.now.max, later.first.max, later.now.max),
        };
        self.batches += later.batches;
    }
}
