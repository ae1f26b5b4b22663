//! Histograms of weights and of errors.

use crate::check;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// Counts of values in equal bins; the last bin includes its upper edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Histogram {
    /// Lower edge of the first bin.
    pub min: f64,
    /// Upper edge of the last bin.
    pub max: f64,
    /// Values per bin.
    pub counts: Vec<u64>,
    /// Values below `min`.
    pub below: u64,
    /// Values above `max`.
    pub above: u64,
}

/// Most bins.
const MAX_BINS: usize = 1 << 20;

impl Histogram {
    /// Empty bins from `min` to `max`.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `min < max` are finite, with 1 to 1,048,576 bins.
    pub fn new(min: f64, max: f64, bins: usize) -> Result<Self> {
        check::within("bins", bins as f64, 1.0, MAX_BINS as f64)?;
        if !(min.is_finite() && max.is_finite() && min < max) {
            let message = format!("a histogram from {min} to {max} has no width");
            return Err(Error::new(Code::RANGE, message).with("min", min).with("max", max));
        }
        Ok(Histogram { min, max, counts: check::zeros(bins)?, below: 0, above: 0 })
    }

    /// Values from the smallest to the largest; a single value gets bins of width 1 around it, as in NumPy.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] for no values, [`Code::NON_FINITE`], [`Code::RANGE`] for the bins.
    pub fn of(values: &[f32], bins: usize) -> Result<Self> {
        let (low, high) = crate::affine::min_max(values)?;
        let (low, high) = (f64::from(low), f64::from(high));
        let (low, high) = if low < high { (low, high) } else { (low - 0.5, high + 0.5) };
        let mut histogram = Histogram::new(low, high, bins)?;
        histogram.add(values)?;
        Ok(histogram)
    }

    /// Counts more values.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the index of the first that is no number; then none was counted.
    pub fn add(&mut self, values: &[f32]) -> Result<()> {
        check::finite(values, "value")?;
        values.iter().for_each(|&x| self.count(f64::from(x)));
        Ok(())
    }

    fn count(&mut self, x: f64) {
        let bins = self.counts.len();
        if x < self.min {
            self.below += 1;
        } else if x > self.max {
            self.above += 1;
        } else {
            let at = ((x - self.min) / (self.max - self.min) * bins as f64) as usize;
            self.counts[at.min(bins - 1)] += 1;
        }
    }

    /// The edges, one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        let bins = self.counts.len();
        (0..=bins).map(|i| self.min + (self.max - self.min) * (i as f64 / bins as f64)).collect()
    }
}

/// The histogram of `decoded - original`, from minus the largest absolute error to plus it.
///
/// # Errors
/// [`Code::LENGTH`], [`Code::NO_DATA`], [`Code::NON_FINITE`], [`Code::RANGE`] for the bins.
pub fn error_histogram(original: &[f32], decoded: &[f32], bins: usize) -> Result<Histogram> {
    let largest = super::compare(original, decoded, 0.0)?.max_error;
    let reach = if largest > 0.0 { largest } else { 0.5 };
    let mut histogram = Histogram::new(-reach, reach, bins)?;
    for (&x, &y) in original.iter().zip(decoded) {
        histogram.count(f64::from(y) - f64::from(x));
    }
    Ok(histogram)
}
