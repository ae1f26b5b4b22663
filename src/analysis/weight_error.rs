//! The weight error of a whole file: one number from the errors of its tensors.

/// Sums the weight error (RMS, relative) of a file: `sqrt(sum n r^2 / sum n)` over its tensors, where `n` is a tensor's
/// number of weights and `r` its relative RMS error; a tensor that is copied has 0.
///
/// ```
/// use quantpress::analysis::WeightError;
/// let mut error = WeightError::default();
/// error.add(300.0, Some(0.1));
/// error.add(100.0, Some(0.0));
/// assert_eq!(error.value(), Some((300.0 * (0.1 * 0.1) / 400.0f64).sqrt()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightError {
    weights: f64,
    squares: f64,
    changed: f64,
    unknown: f64,
}

impl WeightError {
    /// Adds a tensor with its number of weights and its relative RMS error, or `None` if that is unknown.
    pub fn add(&mut self, weights: f64, relative_rmse: Option<f64>) {
        self.weights += weights;
        match relative_rmse {
            None => self.unknown += weights,
            Some(error) if error > 0.0 => {
                self.squares += weights * (error * error);
                self.changed += weights;
            }
            Some(_) => {}
        }
    }

    /// The weight error. Tensors whose error is unknown count as the mean square of those with an error above 0; `None`
    /// if there are unknown ones and none of these. 0 without weights.
    pub fn value(&self) -> Option<f64> {
        if self.unknown > 0.0 && self.changed == 0.0 {
            return None;
        }
        if self.squares == 0.0 {
            return Some(0.0);
        }
        Some((self.squares * (1.0 + self.unknown / self.changed) / self.weights).sqrt())
    }
}
