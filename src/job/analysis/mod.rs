//! The analysis of a model as a sans-I/O state machine: which rows to read, what to measure of them, and the figures of
//! each tensor.
//!
//! ```text
//! Analysis::new(options)
//! analysis.add(tensors)          in pieces, so that a page stays responsive
//! analysis.check_names()
//! analysis.next()                -> a Step: which bytes to read, and what to measure
//! step.measure.run(bytes)        -> Measured: on any thread, in any order
//! analysis.complete(id, found)   -> the tensor that it completes
//! analysis.tensor(index)         -> the errors of each format
//! ```
//!
//! The figures do not depend on the order in which steps are completed.

mod histograms;
mod measure;
mod tensor;

pub use histograms::{Histograms, TensorHistograms};
pub use measure::{Bins, Extremes, Measure, Measured, Refusal, Rows};
pub use tensor::{AnalyzedTensor, NextStep, Step};

use super::report::ErrorFigures;
use super::small_map::SmallMap;
use super::tiles::{TILE_WEIGHTS, bytes_of};
use crate::analysis::DistortionSums;
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::format::{Codec, EncodingCost, formats, mean_square};
use crate::recipe::Stratum;
use crate::setters::setter;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;

/// The number of weights of each tensor that are sampled by default.
pub const DEFAULT_SAMPLE: u64 = 1 << 18;

/// The options of an [`Analysis`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AnalysisOptions {
    /// The names of the formats to measure; `None` for F16, BF16 and every block format that can be written.
    pub formats: Option<Vec<String>>,
    /// The number of weights of each tensor to sample; `None` for all.
    pub sample: Option<u64>,
    /// The names of the tensors to analyze; `None` for all.
    pub tensors: Option<Vec<String>>,
    /// The importance matrix.
    pub importance: Option<Rc<ImportanceMatrix>>,
}

impl AnalysisOptions {
    setter!(with_formats, formats: some into Vec<String>);
    setter!(with_sample, sample: some u64);
    setter!(with_tensors, tensors: some into Vec<String>);
    setter!(with_importance, importance: some into Rc<ImportanceMatrix>);
}

/// One tensor with all formats.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TensorAnalysis<'a> {
    /// The tensor.
    pub tensor: &'a AnalyzedTensor,
    /// The number of weights that were measured; 0 for tensors that are not quantized.
    pub sampled: u64,
    /// The result of each format; none if no weights were measured.
    pub formats: Vec<FormatAnalysis<'a>>,
}

/// One format on one tensor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FormatAnalysis<'a> {
    /// The format.
    pub codec: &'static Codec,
    /// Its errors, or the reason why it cannot encode the tensor.
    pub result: std::result::Result<FormatErrors, &'a Refusal>,
}

/// The effect of a format on a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FormatErrors {
    /// Size of the whole tensor in this format in bytes.
    pub bytes: f64,
    /// The number of weights that it was measured on.
    pub sampled: f64,
    /// The errors.
    pub figures: ErrorFigures,
}

/// The results of one format on the strata of a tensor, in order.
type Outcome = std::result::Result<DistortionSums, Refusal>;

/// A tensor and its results.
struct Entry {
    tensor: AnalyzedTensor,
    sampled: u64,
    weighted: bool,
    /// For each format; none before all strata are measured.
    outcomes: Vec<Outcome>,
}

/// A tensor with strata in flight.
struct PartialTensor {
    /// The number of strata that are not measured.
    left: usize,
    /// The results by stratum, and whether it was measured with slow formats.
    results: SmallMap<usize, (bool, Vec<Outcome>)>,
}

/// A row longer than a tile, whose mean square some formats need.
struct LongRow {
    tensor: usize,
    /// Start of the row in the source.
    offset: u64,
    summed: u64,
    /// `None` for a row with weights that are not finite.
    sum: Option<f32>,
    in_flight: bool,
}

/// What a step in flight is part of.
enum InFlight {
    Stratum {
        tensor: usize,
        index: usize,
        slow: bool,
    },
    /// A piece of the latest long row, with its number of weights.
    Row {
        weights: u64,
    },
}

/// A running analysis.
pub struct Analysis {
    entries: Vec<Entry>,
    codecs: Vec<&'static Codec>,
    sample: Option<u64>,
    importance: Option<Rc<ImportanceMatrix>>,
    /// The names of tensors that were requested and not found yet.
    missing: Option<BTreeSet<String>>,
    total: usize,
    /// The next tensor, and the remaining strata of the one before it.
    next_tensor: usize,
    rest: std::iter::Peekable<std::iter::Enumerate<std::vec::IntoIter<Stratum>>>,
    row: Option<LongRow>,
    last_id: u64,
    in_flight: SmallMap<u64, InFlight>,
    partial: SmallMap<usize, PartialTensor>,
}

impl Analysis {
    /// Creates an analysis without tensors.
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] for a format.
    pub fn new(options: AnalysisOptions) -> Result<Self> {
        let AnalysisOptions { formats, sample, tensors: names, importance } = options;
        let codecs = chosen_formats(formats.as_deref())?;
        Ok(Analysis {
            entries: Vec::new(),
            codecs,
            sample,
            importance,
            missing: names.map(BTreeSet::from_iter),
            total: 0,
            next_tensor: 0,
            rest: Vec::new().into_iter().enumerate().peekable(),
            row: None,
            last_id: 0,
            in_flight: SmallMap::new(),
            partial: SmallMap::new(),
        })
    }

    /// Adds tensors, unless others were requested by name.
    pub fn add(&mut self, tensors: Vec<AnalyzedTensor>) {
        for tensor in tensors {
            if self.missing.as_mut().is_some_and(|missing| !missing.remove(tensor.name.as_str())) {
                continue;
            }
            let strata = if tensor.can_be_quantized() { tensor.strata(self.sample) } else { Vec::new() };
            self.total += strata.len();
            let sampled = strata.iter().map(|stratum| stratum.rows * stratum.columns).sum();
            self.entries.push(Entry { tensor, sampled, weighted: false, outcomes: Vec::new() });
        }
    }

    /// Checks that all requested tensors were added.
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] with the first that was not.
    pub fn check_names(&self) -> Result<()> {
        let Some(name) = self.missing.as_ref().and_then(BTreeSet::first) else { return Ok(()) };
        let message = format!("the model has no tensor '{name}' to analyze");
        Err(Error::new(Code::UNKNOWN_NAME, message).with("tensor", name.as_str()))
    }

    /// The number of strata, each of which is one step of progress.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The number of tensors.
    pub fn tensor_count(&self) -> usize {
        self.entries.len()
    }

    /// The name of a tensor.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.entries.get(index).map(|entry| entry.tensor.name.as_str())
    }

    /// Returns the next action. Any number of steps may be in flight, and they can be completed in any order.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for importance that does not fit a tensor.
    #[allow(clippy::should_implement_trait)] // an iterator has an end, and this waits
    pub fn next(&mut self) -> Result<NextStep> {
        while self.rest.peek().is_none() {
            let Some(entry) = self.entries.get(self.next_tensor) else { return Ok(NextStep::Finished) };
            let strata = if entry.sampled > 0 { entry.tensor.strata(self.sample) } else { Vec::new() };
            if !strata.is_empty() {
                let (left, results) = (strata.len(), SmallMap::new());
                self.partial.insert(self.next_tensor, PartialTensor { left, results });
            }
            self.rest = strata.into_iter().enumerate().peekable();
            self.next_tensor += 1;
        }
        let tensor = self.next_tensor - 1;
        let (Some((index, stratum)), Some(entry)) = (self.rest.peek(), self.entries.get_mut(tensor)) else {
            return Ok(NextStep::Finished);
        };
        let (index, stratum) = (*index, stratum.clone());
        let mut rows = entry.tensor.rows(&stratum, self.importance.as_deref())?;
        if rows.importance.is_some() && self.needs_row(tensor, stratum.columns) {
            match self.row_step(tensor, &stratum) {
                ControlFlow::Continue(mean_square) => rows.mean_square = mean_square,
                ControlFlow::Break(next) => return Ok(next),
            }
        }
        self.rest.next();
        let entry = &mut self.entries[tensor];
        entry.weighted |= rows.importance.is_some();
        let slow = stratum.slow;
        let formats = self.codecs_of(slow).map(|codec| codec.name.to_owned()).collect();
        let measure = Measure::Errors(rows, formats);
        let id = self.begin(InFlight::Stratum { tensor, index, slow });
        Ok(NextStep::Step(Step { id, tensor, ranges: stratum.ranges, measure }))
    }

    fn begin(&mut self, in_flight: InFlight) -> u64 {
        self.last_id += 1;
        self.in_flight.insert(self.last_id, in_flight);
        self.last_id
    }

    /// The formats that are measured on a stratum.
    fn codecs_of(&self, slow: bool) -> impl Iterator<Item = &'static Codec> {
        self.codecs.iter().copied().filter(move |codec| slow || EncodingCost::of(codec.name) <= EncodingCost::Low)
    }

    /// Whether pieces of a row need its mean square. It takes reading the row, so in a sample a piece counts as the row.
    fn needs_row(&self, tensor: usize, columns: u64) -> bool {
        let row_length = self.entries[tensor].tensor.shape.first().copied().unwrap_or(columns);
        self.sample.is_none() && columns < row_length && self.codecs.iter().any(|codec| codec.weighs_by_row)
    }

    /// The mean square of the row of a stratum, or the step that sums its next piece.
    fn row_step(&mut self, tensor: usize, stratum: &Stratum) -> ControlFlow<NextStep, Option<f32>> {
        let AnalyzedTensor { from, ref shape, .. } = self.entries[tensor].tensor;
        let row_length = shape.first().copied().unwrap_or(0);
        let first = stratum.ranges.first().map_or(0, |(offset, _)| *offset);
        let offset = first.saturating_sub(bytes_of(from, stratum.column));
        if self.row.as_ref().is_none_or(|row| (row.tensor, row.offset) != (tensor, offset)) {
            self.row = Some(LongRow { tensor, offset, summed: 0, sum: Some(0.0), in_flight: false });
        }
        let Some(row) = &mut self.row else { return ControlFlow::Continue(None) };
        let Some(sum) = row.sum else { return ControlFlow::Continue(None) };
        if row.in_flight {
            return ControlFlow::Break(NextStep::Wait);
        }
        let weights = TILE_WEIGHTS.min(row_length - row.summed);
        if weights == 0 {
            return ControlFlow::Continue(Some(mean_square(sum, row_length)));
        }
        row.in_flight = true;
        let ranges = vec![(offset + bytes_of(from, row.summed), bytes_of(from, weights))];
        let measure = Measure::Squares { from: from.name.to_owned(), sum };
        let id = self.begin(InFlight::Row { weights });
        ControlFlow::Break(NextStep::Step(Step { id, tensor, ranges, measure }))
    }

    /// Adds the result of a step. Returns its tensor and whether that is complete now, if the step was a stratum.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for a step that is not in flight or another kind of result.
    pub fn complete(&mut self, id: u64, found: Measured) -> Result<Option<(usize, bool)>> {
        match (self.in_flight.remove(id), found) {
            (Some(InFlight::Row { weights }), Measured::Squares(sum)) => {
                if let Some(row) = &mut self.row {
                    (row.sum, row.summed, row.in_flight) = (sum, row.summed + weights, false);
                }
                Ok(None)
            }
            (Some(InFlight::Stratum { tensor, index, slow }), Measured::Errors(outcomes)) => {
                Ok(Some((tensor, self.add_outcomes(tensor, index, slow, outcomes))))
            }
            _ => Err(Error::new(Code::ARGUMENT, format!("step {id} is not in flight")).with("id", id)),
        }
    }

    /// Adds the results of a stratum; returns whether it was the tensor's last one.
    fn add_outcomes(&mut self, tensor: usize, index: usize, slow: bool, outcomes: Vec<Outcome>) -> bool {
        let Some(mut partial) = self.partial.remove(tensor) else { return false };
        partial.results.insert(index, (slow, outcomes));
        partial.left -= 1;
        if partial.left > 0 {
            self.partial.insert(tensor, partial);
            return false;
        }
        let mut all: Vec<Outcome> = vec![Ok(DistortionSums::default()); self.codecs.len()];
        // In the order of the tensor, because the order of a sum affects its last bits.
        for (slow, outcomes) in partial.results.values() {
            let measured = |codec: &&Codec| *slow || EncodingCost::of(codec.name) <= EncodingCost::Low;
            let places = self.codecs.iter().zip(&mut all).filter(|(codec, _)| measured(codec));
            for ((_, sum), outcome) in places.zip(outcomes) {
                match (&mut *sum, outcome) {
                    (Ok(sums), Ok(more)) => sums.append(more),
                    (Ok(_), Err(refusal)) => *sum = Err(refusal.clone()),
                    (Err(_), _) => {}
                }
            }
        }
        self.entries[tensor].outcomes = all;
        true
    }

    /// The results of a tensor, once it is complete.
    pub fn tensor(&self, index: usize) -> Option<TensorAnalysis<'_>> {
        let Entry { tensor, sampled, weighted, outcomes } = self.entries.get(index)?;
        let formats = self.codecs.iter().zip(outcomes).map(|(codec, outcome)| {
            let errors = |sums: &DistortionSums| FormatErrors {
                bytes: tensor.weights() as f64 / codec.weights as f64 * codec.bytes as f64,
                sampled: sums.count,
                figures: ErrorFigures::of(sums, *weighted),
            };
            FormatAnalysis { codec, result: outcome.as_ref().map(errors) }
        });
        Some(TensorAnalysis { tensor, sampled: *sampled, formats: formats.collect() })
    }
}

fn chosen_formats(names: Option<&[String]>) -> Result<Vec<&'static Codec>> {
    let Some(names) = names else {
        let by_default = |codec: &&Codec| codec.can_encode() && (codec.weights > 1 || codec.name.ends_with("F16"));
        return Ok(formats().iter().filter(by_default).collect());
    };
    let find = |name: &String| {
        formats().iter().find(|codec| codec.name == name).ok_or_else(|| {
            let known: Vec<&str> = formats().iter().map(|codec| codec.name).collect();
            let message = format!("unknown format '{name}'; the known formats are {}", known.join(", "));
            Error::new(Code::UNKNOWN_NAME, message).with("format", name.as_str())
        })
    };
    names.iter().map(find).collect()
}
