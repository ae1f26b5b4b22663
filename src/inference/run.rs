//! A text through one or two models, in batches of chunks, as a state machine without I/O.
//!
//! ```text
//! while let Some(read) = run.next()? {
//!     run.supply(&files[read.model][read.request.offset..][..read.request.length])?;
//! }
//! ```

use super::evaluate::{Divergence, Perplexity};
use super::forward::{Forward, Next, Options, Request};
use super::importance::Importance;
use super::model::Model;
use crate::error::{Code, Error, Result};
use std::sync::Arc;

/// How a text is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The tokens of a chunk. 0 is 512, or the context length of the model if that is shorter.
    pub chunk_size: usize,
    /// The largest number of chunks; 0 is all.
    pub chunks: usize,
    /// The chunks that are in memory at once; 0 is as many as fit in 256 MB of activations. It does not change any bit.
    pub batch: usize,
    /// Whether an importance matrix has an entry for `output.weight` too.
    pub process_output: bool,
}

/// Bytes to read from the file of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The index of the model: 0 is the base of a divergence, 1 the model that is compared with it.
    pub model: usize,
    /// The bytes.
    pub request: Request,
}

/// What a run computes.
#[derive(Debug)]
enum Goal {
    Importance(Importance),
    Perplexity(Perplexity),
    Divergence(Box<Divergence>),
}

/// A text that runs through one model, or through two whose logits are compared.
///
/// Memory is that of a batch of chunks, whatever the length of the text and the size of the models.
pub struct Run {
    models: Vec<Arc<Model>>,
    chunks: Vec<Vec<u32>>,
    /// Chunks at once.
    batch: usize,
    options: Options,
    /// The first chunk of the current batch.
    first: usize,
    /// The passes of the current batch, one for each model.
    passes: Vec<Forward>,
    /// The pass that continues next. Both reach their logits before either goes beyond them.
    current: usize,
    goal: Goal,
}

impl Run {
    pub(super) fn importance(model: &Arc<Model>, chunks: Vec<Vec<u32>>, batch: usize, process_output: bool) -> Run {
        let options = Options { f16_cache: true, importance: true, process_output, ..Options::default() };
        Run::new(vec![Arc::clone(model)], chunks, batch, options, Goal::Importance(Importance::default()))
    }

    pub(super) fn perplexity(model: &Arc<Model>, chunks: Vec<Vec<u32>>, batch: usize) -> Run {
        let goal = Goal::Perplexity(Perplexity::default());
        Run::scored(vec![Arc::clone(model)], chunks, batch, goal)
    }

    pub(super) fn divergence(base: &Arc<Model>, model: &Arc<Model>, chunks: Vec<Vec<u32>>, batch: usize) -> Run {
        let goal = Goal::Divergence(Box::default());
        Run::scored(vec![Arc::clone(base), Arc::clone(model)], chunks, batch, goal)
    }

    /// A run that scores the second half of each chunk.
    fn scored(models: Vec<Arc<Model>>, chunks: Vec<Vec<u32>>, batch: usize, goal: Goal) -> Run {
        let size = chunks.first().map_or(0, Vec::len);
        let logits = size / 2..size.saturating_sub(1);
        Run::new(models, chunks, batch, Options { logits, ..Options::default() }, goal)
    }

    fn new(models: Vec<Arc<Model>>, chunks: Vec<Vec<u32>>, batch: usize, options: Options, goal: Goal) -> Run {
        let options = Options { context: chunks.first().map_or(0, Vec::len), ..options };
        Run { models, chunks, batch, options, first: 0, passes: Vec::new(), current: 0, goal }
    }

    /// Continues until bytes are needed; `None` if the run is complete. Without [`Self::supply`] it returns the same bytes.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] for activations or logits that are NaN or infinite, [`Code::NO_MEMORY`].
    #[allow(clippy::should_implement_trait)] // it returns an error
    pub fn next(&mut self) -> Result<Option<Read>> {
        loop {
            if self.passes.is_empty() {
                if self.first >= self.chunks.len() {
                    return Ok(None);
                }
                self.begin()?;
            }
            let mut last = Next::Finished;
            while let Some(pass) = self.passes.get_mut(self.current) {
                last = pass.next()?;
                if let Next::Read(request) = last {
                    return Ok(Some(Read { model: self.current, request }));
                }
                self.current += 1;
            }
            self.current = 0;
            match last {
                Next::Logits => self.score()?,
                _ => self.end()?,
            }
        }
    }

    /// Takes the bytes that were asked for.
    ///
    /// # Errors
    /// As for [`Forward::supply`].
    pub fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        match self.passes.get_mut(self.current) {
            Some(pass) => pass.supply(bytes),
            None => Err(Error::new(Code::ARGUMENT, "the run has not asked for any bytes")),
        }
    }

    /// The name of the tensor whose bytes are read.
    pub fn tensor(&self, read: &Read) -> &str {
        self.models.get(read.model).map_or("", |model| model.tensor_name(read.request.tensor))
    }

    /// The number of steps that are done, and of all steps.
    pub fn progress(&self) -> (u64, u64) {
        let each: usize = self.models.iter().map(|model| model.steps()).sum();
        let count = |batches: usize| batches as u64 * each as u64;
        let current: usize = self.passes.iter().map(Forward::step).sum();
        let batch = self.batch.max(1);
        (count(self.first.div_ceil(batch)) + current as u64, count(self.chunks.len().div_ceil(batch)))
    }

    /// The number of chunks, and of the tokens of each.
    pub fn chunks(&self) -> (usize, usize) {
        (self.chunks.len(), self.chunks.first().map_or(0, Vec::len))
    }

    /// The importance matrix, if that is what the run computes. It is complete when the run is.
    pub fn importance_matrix(&self) -> Option<&Importance> {
        match &self.goal {
            Goal::Importance(importance) => Some(importance),
            _ => None,
        }
    }

    /// The perplexity of the tokens that have been scored, if that is what the run computes.
    pub fn perplexity_so_far(&self) -> Option<&Perplexity> {
        match &self.goal {
            Goal::Perplexity(perplexity) => Some(perplexity),
            _ => None,
        }
    }

    /// The divergence of the tokens that have been scored, if that is what the run computes.
    pub fn divergence_so_far(&self) -> Option<&Divergence> {
        match &self.goal {
            Goal::Divergence(divergence) => Some(divergence),
            _ => None,
        }
    }

    /// The chunks of the current batch.
    fn current_chunks(&self) -> &[Vec<u32>] {
        let end = self.chunks.len().min(self.first + self.batch);
        &self.chunks[self.first..end]
    }

    /// Begins the passes of the next batch.
    fn begin(&mut self) -> Result<()> {
        let sequences: Vec<&[u32]> = self.current_chunks().iter().map(Vec::as_slice).collect();
        let passes = self.models.iter().map(|model| Forward::new(model, &sequences, self.options.clone()));
        let mut passes = passes.collect::<Result<Vec<_>>>()?;
        if let (Goal::Importance(importance), Some(pass)) = (&mut self.goal, passes.first_mut()) {
            pass.continue_importance(std::mem::take(importance));
        }
        self.passes = passes;
        self.current = 0;
        Ok(())
    }

    /// Ends the passes of a batch.
    fn end(&mut self) -> Result<()> {
        let passes = std::mem::take(&mut self.passes);
        if let Goal::Importance(importance) = &mut self.goal {
            *importance = passes.into_iter().find_map(Forward::into_importance).unwrap_or_default();
            importance.check()?;
        }
        self.first += self.batch;
        Ok(())
    }

    /// Scores tokens whose logits are ready in all passes.
    fn score(&mut self) -> Result<()> {
        let chunks = &self.chunks[self.first..];
        let logits: Vec<_> = self.passes.iter().map(Forward::logits).collect();
        let Some((last, base)) = logits.split_last() else { return Ok(()) };
        let vocabulary = self.models.first().map_or(1, |model| model.vocabulary()).max(1);
        for (index, (sequence, position)) in last.places.iter().enumerate() {
            let row = |values: &'_ [f32]| index * vocabulary..values.len().min((index + 1) * vocabulary);
            let own = &last.values[row(last.values)];
            // The first token of a chunk may have been replaced, but it is never predicted.
            let next = chunks.get(*sequence).and_then(|chunk| chunk.get(position + 1)).copied().unwrap_or(u32::MAX);
            let scored = match (&mut self.goal, base.first()) {
                (Goal::Perplexity(perplexity), _) => perplexity.add(own, next),
                (Goal::Divergence(divergence), Some(base)) => {
                    divergence.add_logits(&base.values[row(base.values)], own, next)
                }
                _ => Ok(()),
            };
            scored.map_err(|error| error.within(&format!("chunk {}, token {position}", self.first + sequence)))?;
        }
        Ok(())
    }
}
