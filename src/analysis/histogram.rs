//! Histograms of weights and of errors.

use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// Counts of values in bins of equal width; the last bin includes its upper edge.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
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

/// The maximum number of bins.
const MAX_BINS: usize = 1 << 20;

impl Histogram {
    /// Creates an empty histogram from `min` to `max`.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `min < max` are finite and there are 1 to 1,048,576 bins.
    pub fn new(min: f64, max: f64, bins: usize) -> Result<Self> {
        validation::within("bins", bins as f64, 1.0, MAX_BINS as f64)?;
        if !(min.is_finite() && max.is_finite() && min < max) {
            let message = format!("a histogram from {min} to {max} has no positive width");
            return Err(Error::new(Code::RANGE, message).with("min", min).with("max", max));
        }
        Ok(Histogram { min, max, counts: allocation::zeros(bins)?, below: 0, above: 0 })
    }

    /// The histogram of values from their minimum to their maximum. If all are equal, the bins span a width of 1 around
    /// that value, as in NumPy.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if there are no values, [`Code::NON_FINITE`], [`Code::RANGE`] for the number of bins.
    pub fn of(values: &[f32], bins: usize) -> Result<Self> {
        let (low, high) = crate::affine::min_max(values)?;
        let (low, high) = Histogram::range(low.into(), high.into());
        let mut histogram = Histogram::new(low, high, bins)?;
        histogram.add(values)?;
        Ok(histogram)
    }

    /// The edges of the histogram of values from `low` to `high`; a width of 1 if both are equal.
    pub fn range(low: f64, high: f64) -> (f64, f64) {
        if low < high { (low, high) } else { (low - 0.5, high + 0.5) }
    }

    /// The edges of the histogram of errors whose largest absolute value is `largest`.
    pub fn error_range(largest: f64) -> (f64, f64) {
        let reach = if largest > 0.0 { largest } else { 0.5 };
        (-reach, reach)
    }

    /// Counts `decoded - original` for more values.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for different lengths.
    pub fn add_errors(&mut self, original: &[f32], decoded: &[f32]) -> Result<()> {
        validation::length("the decoded tensor", decoded.len(), original.len())?;
        original.iter().zip(decoded).for_each(|(&x, &y)| self.count(f64::from(y) - f64::from(x)));
        Ok(())
    }

    /// Counts more values.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the index of the first NaN or infinite value, in which case no value is counted.
    pub fn add(&mut self, values: &[f32]) -> Result<()> {
        validation::finite(values, "value")?;
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

    /// The edges of the bins, one more than there are bins.
    pub fn edges(&self) -> Vec<f64> {
        let bins = self.counts.len();
        (0..=bins).map(|i| self.min + (self.max - self.min) * (i as f64 / bins as f64)).collect()
    }
}

/// The histogram of `decoded - original`, over plus and minus the largest absolute error.
///
/// # Errors
/// [`Code::LENGTH`], [`Code::NO_DATA`], [`Code::NON_FINITE`], [`Code::RANGE`] for the number of bins.
pub fn error_histogram(original: &[f32], decoded: &[f32], bins: usize) -> Result<Histogram> {
    let largest = super::stats::compare(original, decoded, 0.0)?.max_error;
    let (low, high) = Histogram::error_range(largest);
    let mut histogram = Histogram::new(low, high, bins)?;
    histogram.add_errors(original, decoded)?;
    Ok(histogram)
}
