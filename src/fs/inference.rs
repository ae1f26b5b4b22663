//! Runs a model from its file: tokens, importance matrices, perplexity.

use super::open;
use super::source::Source;
use crate::error::Result;
use crate::inference::{Forward, Importance, Logits, Model, Next, Options, Perplexity, Tokenizer, chunks};
use crate::job::ByteRange;
use std::path::Path;

/// A GGUF model that is run from its file, or from its shards. Its weights are read tile by tile.
pub struct RunnableModel {
    source: Source,
    model: Model,
    tokenizer: Tokenizer,
}

impl RunnableModel {
    /// Opens a model.
    ///
    /// # Errors
    /// I/O errors, those of the parser, and those of [`Model::new`] and [`Tokenizer::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<RunnableModel> {
        let (source, header) = open::open_gguf(path.as_ref())?;
        Ok(RunnableModel { source, model: Model::new(&header)?, tokenizer: Tokenizer::new(&header)? })
    }

    /// The tokenizer of the model.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Runs sequences of tokens through the model. `each` gets the logits that the options ask for. `importance` is
    /// continued and returned if the options ask for an importance matrix.
    ///
    /// # Errors
    /// I/O errors, those of [`Forward::new`], and those of `each`.
    pub fn run(
        &self,
        sequences: &[&[u32]],
        options: Options,
        importance: Option<Importance>,
        mut each: impl FnMut(Logits) -> Result<()>,
    ) -> Result<Option<Importance>> {
        let mut forward = Forward::new(&self.model, sequences, options)?;
        if let Some(importance) = importance {
            forward.continue_importance(importance);
        }
        loop {
            match forward.next()? {
                Next::Read(request) => {
                    let range = ByteRange { offset: request.offset, length: request.length as u64, second: None };
                    forward.supply(&self.source.read(&range)?)?;
                }
                Next::Logits => each(forward.logits())?,
                Next::Finished => {
                    self.source.check()?;
                    return Ok(forward.into_importance());
                }
            }
        }
    }

    /// The importance matrix of a text's tokens as `llama-imatrix` makes it: in chunks of `chunk` tokens, of which `batch`
    /// are in memory at once, with keys and values rounded to F16. `process_output` adds an entry for `output.weight`.
    ///
    /// # Errors
    /// As for [`Self::run`] and [`chunks`].
    pub fn importance(&self, tokens: &[u32], chunk: usize, batch: usize, process_output: bool) -> Result<Importance> {
        let chunks = chunks(tokens, chunk, self.tokenizer.begin())?;
        let mut importance = Importance::default();
        for batch in chunks.chunks(batch.max(1)) {
            let sequences: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let options =
                Options { f16_cache: true, importance: true, process_output, context: chunk, ..Options::default() };
            importance = self.run(&sequences, options, Some(importance), |_| Ok(()))?.unwrap_or_default();
        }
        importance.check()?;
        Ok(importance)
    }

    /// The perplexity of a text's tokens as `llama-perplexity` computes it: in chunks of `chunk` tokens, of which `batch`
    /// are in memory at once; the second half of each chunk is scored.
    ///
    /// # Errors
    /// As for [`Self::run`] and [`chunks`].
    pub fn perplexity(&self, tokens: &[u32], chunk: usize, batch: usize) -> Result<Perplexity> {
        let mut perplexity = Perplexity::default();
        let inputs = chunks(tokens, chunk, self.tokenizer.begin())?;
        let scored = chunk / 2..chunk.saturating_sub(1);
        for (batch, own) in inputs.chunks(batch.max(1)).zip(tokens.chunks(batch.max(1).saturating_mul(chunk))) {
            let sequences: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let options = Options { logits: scored.clone(), context: chunk, ..Options::default() };
            self.run(&sequences, options, None, |logits| {
                let rows = logits.values.chunks_exact(self.model.vocabulary());
                for ((sequence, position), row) in logits.places.iter().zip(rows) {
                    perplexity.add(row, own.get(sequence * chunk + position + 1).copied().unwrap_or(u32::MAX))?;
                }
                Ok(())
            })?;
        }
        Ok(perplexity)
    }
}
