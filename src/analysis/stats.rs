//! Error statistics, accumulated over tiles.

use super::distortion::each_pair;
use crate::error::{Code, Error, Result};
use crate::lanes::Doubles;
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The error of quantizing values `x` that were dequantized to `y`, with `e = y - x`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct QuantErrorStats {
    /// Mean squared error, `sum e^2 / n`.
    pub mse: f64,
    /// Mean absolute error, `sum |e| / n`.
    pub mae: f64,
    /// Largest absolute error.
    pub max_error: f64,
    /// Signal-to-quantization-noise ratio in decibels, `10 log10(sum x^2 / sum e^2)`. Infinite only if the error is
    /// exactly 0; negative infinity if only the signal is 0.
    pub sqnr_db: f64,
    /// The fraction of values (0 to 1) whose absolute error exceeds the outlier threshold.
    pub outlier_rate: f64,
    /// The number of values.
    pub num_samples: u64,
    /// Mean error (bias), `sum e / n`.
    pub mean_error: f64,
    /// `sqrt(sum e^2 / sum x^2)`: the RMS error relative to the RMS of the signal.
    pub relative_rmse: f64,
    /// `sum x y / sqrt(sum x^2 sum y^2)`; 1 if both are all zeros, 0 if only one is.
    pub cosine_similarity: f64,
}

impl QuantErrorStats {
    /// Root mean squared error, in the unit of the values.
    pub fn rmse(&self) -> f64 {
        rmse(self.mse)
    }
}

/// Root mean squared error.
pub(crate) fn rmse(mse: f64) -> f64 {
    mse.sqrt()
}

/// RMS error relative to the RMS of the signal, from the sums of their squares.
pub(crate) fn relative_rmse(error: f64, signal: f64) -> f64 {
    if error == 0.0 { 0.0 } else { (error / signal).sqrt() }
}

/// Signal-to-quantization-noise ratio in decibels, from the sums of squares.
pub(crate) fn sqnr_db(signal: f64, error: f64) -> f64 {
    if error == 0.0 { f64::INFINITY } else { 10.0 * libm::log10(signal / error) }
}

/// Cosine similarity, from the sums of `x y`, `x^2` and `y^2`; 1 if both are all zeros, 0 if only one is.
pub(crate) fn cosine_similarity(xy: f64, xx: f64, yy: f64) -> f64 {
    match (xx == 0.0, yy == 0.0) {
        (true, true) => 1.0,
        (false, false) => (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0),
        _ => 0.0,
    }
}

/// Accumulates [`QuantErrorStats`] over any number of tiles in constant memory. Accumulators can be merged.
///
/// ```
/// use quantpress::analysis::ErrorAccumulator;
/// let mut errors = ErrorAccumulator::new(0.1)?;
/// errors.add(&[1.0, 2.0], &[1.0, 2.25])?;
/// errors.add(&[-1.0], &[-1.0])?;
/// let stats = errors.stats()?;
/// assert_eq!((stats.max_error, stats.num_samples), (0.25, 3));
/// # Ok::<(), quantpress::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorAccumulator {
    threshold: f64,
    count: u64,
    outliers: u64,
    max_error: f64,
    sums: [Compensated; TERMS],
}

/// The summed terms, in this order: `e, |e|, e^2, x^2, y^2, x y`. The last cannot be computed as half of `x^2 + y^2 -
/// e^2`: if one of the tensors is much smaller, it would be lost in rounding.
const TERMS: usize = 6;
/// Number of values summed plainly before the result is added to the compensated sums.
const TILE: usize = 1024;

impl ErrorAccumulator {
    /// Creates an empty accumulator. Absolute errors above `outlier_threshold` count as outliers.
    ///
    /// # Errors
    /// [`Code::RANGE`] for a negative or NaN threshold.
    pub fn new(outlier_threshold: f64) -> Result<Self> {
        validation::within("outlierThreshold", outlier_threshold, 0.0, f64::INFINITY)?;
        let sums = [Compensated::default(); TERMS];
        Ok(ErrorAccumulator { threshold: outlier_threshold, count: 0, outliers: 0, max_error: 0.0, sums })
    }

    /// Adds the next values and their dequantized counterparts.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for different lengths, [`Code::NON_FINITE`] with the index of the first NaN or infinite value,
    /// in which case nothing is added.
    pub fn add(&mut self, original: &[f32], decoded: &[f32]) -> Result<()> {
        self.add_part(original, decoded, 0)
    }

    /// [`add`](Self::add) for the part of a tensor from index `start`. Parts of a multiple of 1024 values do not change
    /// the sums.
    pub(super) fn add_part(&mut self, original: &[f32], decoded: &[f32], start: usize) -> Result<()> {
        validation::length("the decoded tensor", decoded.len(), original.len())?;
        let mut all = *self;
        for (x, y) in original.chunks(TILE).zip(decoded.chunks(TILE)) {
            all.add_tile(x, y);
        }
        // The square of a finite f32 is a finite f64, so the sums show whether any value was NaN or infinite.
        if !all.sums.iter().all(|sum| sum.sum.is_finite()) {
            for (values, what) in [(original, "value"), (decoded, "decoded value")] {
                if let Some(index) = validation::first_non_finite(values) {
                    return Err(validation::non_finite(values[index], start + index, what));
                }
            }
        }
        all.count += original.len() as u64;
        *self = all;
        Ok(())
    }

    fn add_tile(&mut self, x: &[f32], y: &[f32]) {
        let (zero, threshold) = (Doubles::splat(0.0), Doubles::splat(self.threshold));
        let (mut sums, mut largest, mut beyond) = ([zero; TERMS], zero, zero);
        each_pair(x, y, |x, y| {
            let e = y - x;
            for (sum, term) in sums.iter_mut().zip([e, e.abs(), e * e, x * x, y * y, x * y]) {
                *sum = *sum + term;
            }
            largest = largest.max(e.abs());
            beyond = beyond + e.abs().above(threshold);
        });
        for (total, tile) in self.sums.iter_mut().zip(sums) {
            total.add(tile.to_array().iter().sum());
        }
        self.outliers += beyond.to_array().iter().sum::<f64>() as u64;
        self.max_error = largest.to_array().into_iter().fold(self.max_error, f64::max);
    }

    /// Adds the sums of another accumulator.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if the outlier thresholds differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.threshold != other.threshold {
            let (a, b) = (self.threshold, other.threshold);
            let message = format!("cannot merge statistics with outlier thresholds {a} and {b}");
            return Err(Error::new(Code::ARGUMENT, message).with("threshold", a).with("other", b));
        }
        for (mine, theirs) in self.sums.iter_mut().zip(other.sums) {
            mine.add(theirs.sum);
            mine.add(theirs.lost);
        }
        self.count += other.count;
        self.outliers += other.outliers;
        self.max_error = self.max_error.max(other.max_error);
        Ok(())
    }

    /// The number of values added.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether no values were added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the statistics of all values added.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if there are none.
    pub fn stats(&self) -> Result<QuantErrorStats> {
        if self.count == 0 {
            return Err(Error::new(Code::NO_DATA, "the error of 0 values is undefined"));
        }
        let n = self.count as f64;
        let [e, abs, ee, xx, yy, xy] = self.sums.map(Compensated::total);
        Ok(QuantErrorStats {
            mse: ee / n,
            mae: abs / n,
            max_error: self.max_error,
            sqnr_db: sqnr_db(xx, ee),
            outlier_rate: self.outliers as f64 / n,
            num_samples: self.count,
            mean_error: e / n,
            relative_rmse: relative_rmse(ee, xx),
            cosine_similarity: cosine_similarity(xy, xx, yy),
        })
    }
}

/// The statistics for values and their dequantized counterparts.
///
/// # Errors
/// As for [`ErrorAccumulator::add`], and [`Code::NO_DATA`] if there are no values.
pub fn compare(original: &[f32], decoded: &[f32], outlier_threshold: f64) -> Result<QuantErrorStats> {
    let mut errors = ErrorAccumulator::new(outlier_threshold)?;
    errors.add(original, decoded)?;
    errors.stats()
}

/// Neumaier's summation: the rounding error is accumulated separately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        self.lost += if self.sum.abs() >= x.abs() { (self.sum - sum) + x } else { (x - sum) + self.sum };
        self.sum = sum;
    }

    fn total(self) -> f64 {
        self.sum + self.lost
    }
}
