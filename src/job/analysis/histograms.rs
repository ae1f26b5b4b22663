//! The histograms of a tensor's weights and of the errors of a format, in two passes: the extremes, then the counts.
//! Memory does not grow with the tensor.

use super::measure::{Bins, Extremes, Measure, Measured};
use super::tensor::{AnalyzedTensor, NextStep, Step};
use crate::analysis::Histogram;
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::recipe::Stratum;
use crate::validation;
use std::rc::Rc;

/// The histograms that were counted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorHistograms {
    /// The number of weights.
    pub sampled: u64,
    /// The weights, from the smallest to the largest.
    pub weights: Histogram,
    /// With a format: the errors, over plus and minus the largest absolute one.
    pub errors: Option<Histogram>,
}

/// Counts the histograms of one tensor. Steps are returned and completed as for an [`Analysis`](super::Analysis).
pub struct Histograms {
    tensor: AnalyzedTensor,
    format: Option<String>,
    importance: Option<Rc<ImportanceMatrix>>,
    bins: usize,
    strata: Vec<Stratum>,
    /// The next stratum of this pass, and the number of strata that are not measured in it.
    next: usize,
    left: usize,
    last_id: u64,
    extremes: Option<Extremes>,
    /// The histograms, in the second pass.
    counted: Option<(Histogram, Histogram)>,
}

/// The maximum number of bins of a histogram.
const MAX_BINS: usize = 1 << 20;

impl Histograms {
    /// Creates the job; `sample` as for an [`Analysis`](super::Analysis).
    ///
    /// # Errors
    /// [`Code::RANGE`] for the number of bins, [`Code::NO_DATA`] for a tensor without weights.
    pub fn new(
        tensor: AnalyzedTensor,
        format: Option<String>,
        bins: usize,
        sample: Option<u64>,
        importance: Option<Rc<ImportanceMatrix>>,
    ) -> Result<Self> {
        validation::within("bins", bins as f64, 1.0, MAX_BINS as f64)?;
        let strata = tensor.strata(sample);
        if strata.is_empty() {
            return Err(Error::new(Code::NO_DATA, format!("tensor '{}' has no weights", tensor.name)));
        }
        let left = strata.len();
        let (next, last_id, extremes, counted) = (0, 0, None, None);
        Ok(Histograms { tensor, format, importance, bins, strata, next, left, last_id, extremes, counted })
    }

    /// Returns the next action.
    ///
    /// # Errors
    /// As for [`Analysis::next`](super::Analysis::next).
    #[allow(clippy::should_implement_trait)] // an iterator has an end, and this waits
    pub fn next(&mut self) -> Result<NextStep> {
        let Some(stratum) = self.strata.get(self.next) else {
            return Ok(if self.counted.is_some() { NextStep::Finished } else { NextStep::Wait });
        };
        let (rows, format) = (self.tensor.rows(stratum, self.importance.as_deref())?, self.format.clone());
        let measure = match &self.counted {
            None => Measure::Extremes(rows, format),
            Some((weights, errors)) => {
                let (weights, errors) = ((weights.min, weights.max), (errors.min, errors.max));
                Measure::Counts { rows, format, bins: Bins { count: self.bins, weights, errors } }
            }
        };
        self.next += 1;
        self.last_id += 1;
        Ok(NextStep::Step(Step { id: self.last_id, tensor: 0, ranges: stratum.ranges.clone(), measure }))
    }

    /// Adds the result of a step.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for the result of another pass.
    pub fn complete(&mut self, found: Measured) -> Result<()> {
        match (found, &mut self.counted) {
            (Measured::Extremes(extremes), None) => {
                self.extremes = Some(self.extremes.map_or(extremes, |all| all.union(extremes)));
            }
            (Measured::Counts(weights, errors), Some(all)) => {
                add(&mut all.0.counts, &weights);
                add(&mut all.1.counts, &errors);
            }
            _ => return Err(Error::new(Code::ARGUMENT, "this result belongs to another pass")),
        }
        self.left = self.left.saturating_sub(1);
        if let (0, None, Some(extremes)) = (self.left, &self.counted, self.extremes) {
            let bins = Bins {
                count: self.bins,
                weights: Histogram::range(extremes.min, extremes.max),
                errors: Histogram::error_range(extremes.error),
            };
            self.counted = Some(bins.histograms()?);
            (self.next, self.left) = (0, self.strata.len());
        }
        Ok(())
    }

    /// Returns the histograms.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if steps are not completed.
    pub fn finish(self) -> Result<TensorHistograms> {
        let (Some((weights, errors)), Some(Extremes { count: sampled, .. }), 0) =
            (self.counted, self.extremes, self.left)
        else {
            return Err(Error::new(Code::ARGUMENT, "the histograms are not finished: some steps are not completed"));
        };
        Ok(TensorHistograms { sampled, weights, errors: self.format.is_some().then_some(errors) })
    }
}

fn add(all: &mut [u64], more: &[u64]) {
    all.iter_mut().zip(more).for_each(|(count, more)| *count += more);
}
