//! The histograms of the reference calibrators.
//!
//! All are of bounded size. Like their references, two of them keep the width of their bins and add bins when a batch
//! exceeds the range. One that would exceed [`MAX_BINS`] starts again with its initial number of bins over the whole
//! range, and the old bins are moved there by their centres.

use super::method::MAX_BINS;
use super::min_max::MinMax;
use super::numpy;

/// Equal-width bins from `-threshold` to `threshold`, extended when a batch exceeds that range.
///
/// Identical to ONNX Runtime's up to [`MAX_BINS`] bins. ONNX Runtime has no limit and needs gigabytes for a range that
/// grows a millionfold.
///
/// Source: ONNX Runtime `HistogramCollector.collect_value` and `merge_histogram`.
#[derive(Clone, Debug, PartialEq)]
pub struct SymmetricHistogram {
    /// Values per bin.
    pub counts: Vec<u64>,
    /// The upper end of the range.
    pub threshold: f32,
    /// The initial number of bins.
    first_bins: usize,
}

impl SymmetricHistogram {
    /// Creates an empty histogram.
    pub fn new(bins: usize) -> Self {
        SymmetricHistogram { counts: vec![0; bins], threshold: 0.0, first_bins: bins }
    }

    /// A histogram with the same initial number of bins and the given contents.
    pub fn with(&self, threshold: f32, counts: Vec<u64>) -> Self {
        SymmetricHistogram { counts, threshold, ..*self }
    }

    /// The `bins + 1` edges.
    pub fn edges(&self) -> Vec<f32> {
        numpy::symmetric_edges(self.threshold, self.counts.len())
    }

    /// Adds a batch; `min_max` is its minimum and maximum.
    pub fn observe(&mut self, values: &[f32], min_max: MinMax) {
        self.reach(min_max.magnitude());
        if self.threshold > 0.0 {
            numpy::count(values, &self.edges(), &mut self.counts);
        } else {
            // Only zeros so far: NumPy's histogram of an empty range covers (-0.5, 0.5).
            let middle = self.counts.len() / 2;
            self.counts[middle] += values.len() as u64;
        }
    }

    fn stride(&self) -> f32 {
        2.0 * self.threshold / self.counts.len() as f32
    }

    /// Extends the range to at least `threshold`, with more bins of the same width, or wider ones if there would be too
    /// many.
    fn reach(&mut self, threshold: f32) {
        if threshold <= self.threshold {
            return;
        }
        if self.threshold == 0.0 {
            self.threshold = threshold;
            return;
        }
        let (bins, stride) = (self.counts.len(), self.stride());
        let more = numpy::floor_divide(threshold - self.threshold, stride) + 1.0;
        // Also false if the stride is too small to divide by.
        if bins as f32 + 2.0 * more <= MAX_BINS as f32 {
            let more = more as usize;
            self.threshold += more as f32 * stride;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.counts.resize(bins + 2 * more, 0);
            return;
        }
        let fresh = self.with(threshold, vec![0; self.first_bins]);
        let old = std::mem::replace(self, fresh);
        self.absorb(&old);
    }

    /// Adds another histogram. The bins of the one with narrower bins are moved by their centres.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.iter().all(|&n| n == 0) {
            return;
        }
        let wider = (other.stride(), other.threshold) > (self.stride(), self.threshold);
        let mut moved = other.clone();
        if wider || self.counts.iter().all(|&n| n == 0) {
            std::mem::swap(self, &mut moved);
        }
        self.reach(moved.threshold);
        self.absorb(&moved);
    }

    /// Adds the bins of another histogram, whose range is not larger, by their centres.
    fn absorb(&mut self, other: &Self) {
        let (bins, theirs) = (self.counts.len(), other.counts.len());
        let ratio = if self.threshold > 0.0 { f64::from(other.threshold) / f64::from(self.threshold) } else { 1.0 };
        for (i, &n) in other.counts.iter().enumerate() {
            let centre = ((i as f64 + 0.5) / theirs as f64 - 0.5) * ratio + 0.5;
            let at = ((centre * bins as f64) as usize).min(bins - 1);
            self.counts[at] = self.counts[at].saturating_add(n);
        }
    }
}

/// Equal-width bins of magnitudes from 0 to `width * bins`, extended when a batch exceeds that range.
///
/// Identical to modelopt's up to [`MAX_BINS`] bins.
///
/// Source: nvidia-modelopt `HistogramCalibrator.collect`.
#[derive(Clone, Debug, PartialEq)]
pub struct MagnitudeHistogram {
    /// Values per bin.
    pub counts: Vec<u64>,
    /// The width of a bin.
    pub width: f64,
    /// The initial number of bins.
    first_bins: usize,
}

impl MagnitudeHistogram {
    /// Creates an empty histogram.
    pub fn new(bins: usize) -> Self {
        MagnitudeHistogram { counts: vec![0; bins], width: 0.0, first_bins: bins }
    }

    /// A histogram with the same initial number of bins and the given contents.
    pub fn with(&self, width: f64, counts: Vec<u64>) -> Self {
        MagnitudeHistogram { counts, width, ..*self }
    }

    /// Adds a batch; `min_max` is its minimum and maximum.
    pub fn observe(&mut self, values: &[f32], min_max: MinMax) {
        self.reach(f64::from(min_max.magnitude()));
        let (last, width) = (self.counts.len() - 1, self.width);
        for x in values {
            // 0 / 0 is NaN, which casts to 0.
            let at = (f64::from(x.abs()) / width) as usize;
            self.counts[at.min(last)] += 1;
        }
    }

    /// Extends the range to a magnitude, with more bins of the same width, or wider ones if there would be too many.
    fn reach(&mut self, largest: f64) {
        if self.width == 0.0 {
            // All values so far are zeros, which stay in the first bin.
            self.width = largest / self.counts.len() as f64;
        }
        if largest > self.width * MAX_BINS as f64 {
            let fresh = self.with(largest / self.first_bins as f64, vec![0; self.first_bins]);
            let old = std::mem::replace(self, fresh);
            self.absorb(&old);
        } else if largest > self.width * self.counts.len() as f64 {
            let bins = (largest / self.width).ceil() as usize;
            self.counts.resize(bins.min(MAX_BINS), 0);
        }
    }

    /// Adds another histogram. The bins of the one with narrower bins are moved by their centres.
    pub fn merge(&mut self, other: &Self) {
        if other.counts.iter().all(|&n| n == 0) {
            return;
        }
        let mut moved = other.clone();
        if other.width > self.width || self.counts.iter().all(|&n| n == 0) {
            std::mem::swap(self, &mut moved);
        }
        self.reach(moved.width * moved.counts.len() as f64);
        self.absorb(&moved);
    }

    /// Adds the bins of another histogram, whose range is not larger, by their centres.
    fn absorb(&mut self, other: &Self) {
        let last = self.counts.len() - 1;
        for (i, &n) in other.counts.iter().enumerate() {
            let at = ((i as f64 + 0.5) * other.width / self.width) as usize;
            let at = at.min(last);
            self.counts[at] = self.counts[at].saturating_add(n);
        }
    }
}

/// A fixed number of equal-width bins from the minimum to the maximum. When the range grows, old bins are redistributed
/// over the new ones.
///
/// Source: PyTorch `HistogramObserver.forward` and `_combine_histograms`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanHistogram {
    /// Values per bin; fractional after the range has grown.
    pub counts: Vec<f64>,
    /// The range, once there are values.
    pub min_max: Option<MinMax>,
}

/// The number of parts that an old bin is divided into when it is redistributed: PyTorch's `upsample_rate`.
const UPSAMPLE: usize = 16;

impl SpanHistogram {
    /// Creates an empty histogram.
    pub fn new(bins: usize) -> Self {
        SpanHistogram { counts: vec![0.0; bins], min_max: None }
    }

    /// Adds a batch; `min_max` is its minimum and maximum.
    pub fn observe(&mut self, values: &[f32], min_max: MinMax) {
        let min_max = self.stretch(min_max);
        let (bins, min) = (self.counts.len(), f64::from(min_max.min));
        let width = (f64::from(min_max.max) - min) / bins as f64;
        for &x in values {
            // A range of a single value has width 0: 0 / 0 is NaN, which casts to 0.
            let at = ((f64::from(x) - min) / width) as usize;
            self.counts[at.min(bins - 1)] += 1.0;
        }
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        if let Some(min_max) = other.min_max {
            let mut other = other.clone();
            let min_max = self.stretch(min_max);
            other.stretch(min_max);
            for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
                *mine += theirs;
            }
        }
    }

    /// Extends the range to include `more`, and returns the new range.
    fn stretch(&mut self, more: MinMax) -> MinMax {
        let Some(old) = self.min_max else {
            self.min_max = Some(more);
            return more;
        };
        let new = old.union(more);
        if new != old {
            let bins = self.counts.len();
            let origin = f64::from(new.min);
            let width = (f64::from(new.max) - origin) / bins as f64;
            let part = (f64::from(old.max) - f64::from(old.min)) / (bins * UPSAMPLE) as f64;
            let mut spread = vec![0.0; bins];
            for (i, &n) in self.counts.iter().enumerate().filter(|(_, n)| **n != 0.0) {
                for j in 0..UPSAMPLE {
                    let middle = f64::from(old.min) + ((i * UPSAMPLE + j) as f64 + 0.5) * part;
                    let at = ((middle - origin) / width) as usize;
                    spread[at.min(bins - 1)] += n / UPSAMPLE as f64;
                }
            }
            self.counts = spread;
            self.min_max = Some(new);
        }
        new
    }
}
