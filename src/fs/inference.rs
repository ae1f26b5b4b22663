//! Runs a model from its file: tokens, importance matrices, perplexity, divergence.

use super::open;
use super::source::Source;
use crate::error::{Code, Error, Result};
use crate::inference::{
    DivergenceReport, Forward, Importance, LanguageModel, Logits, Next, Options, Perplexity, Request, Run, RunOptions,
    Tokenizer,
};
use crate::job::ByteRange;
use std::path::Path;

/// A GGUF model that is run from its file, or from its shards. Its weights are read tile by tile.
pub struct RunnableModel {
    source: Source,
    model: LanguageModel,
}

impl RunnableModel {
    /// Opens a model.
    ///
    /// # Errors
    /// I/O errors, those of the parser, and those of [`LanguageModel::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<RunnableModel> {
        let (source, header) = open::open_gguf(path.as_ref())?;
        Ok(RunnableModel { source, model: LanguageModel::new(&header)? })
    }

    /// The tokenizer of the model.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.model.tokenizer()
    }

    /// Runs sequences of tokens through the model. `each` gets the logits that the options ask for.
    ///
    /// # Errors
    /// I/O errors, those of [`Forward::new`], and those of `each`.
    pub fn run(
        &self,
        sequences: &[&[u32]],
        options: Options,
        mut each: impl FnMut(Logits) -> Result<()>,
    ) -> Result<Option<Importance>> {
        let mut forward: Forward = Forward::new(self.model.model(), sequences, options)?;
        loop {
            match forward.next()? {
                Next::Read(request) => forward.supply(&self.read(&request)?)?,
                Next::Logits => each(forward.logits())?,
                Next::Finished => {
                    self.source.check()?;
                    return Ok(forward.into_importance());
                }
            }
        }
    }

    /// The importance matrix of a text's tokens, see [`LanguageModel::importance`].
    ///
    /// # Errors
    /// I/O errors, and those of [`LanguageModel::importance`] and [`Run::next`].
    pub fn importance(&self, tokens: &[u32], options: &RunOptions) -> Result<Importance> {
        let run = drive(self.model.importance(tokens, options)?, &[self])?;
        Ok(run.importance_matrix().cloned().unwrap_or_default())
    }

    /// The perplexity of a text's tokens, see [`LanguageModel::perplexity`].
    ///
    /// # Errors
    /// I/O errors, and those of [`LanguageModel::perplexity`] and [`Run::next`].
    pub fn perplexity(&self, tokens: &[u32], options: &RunOptions) -> Result<Perplexity> {
        let run = drive(self.model.perplexity(tokens, options)?, &[self])?;
        Ok(run.perplexity_so_far().copied().unwrap_or_default())
    }

    /// The divergence of this model from `base` on a text's tokens, see [`LanguageModel::divergence`].
    ///
    /// # Errors
    /// I/O errors, and those of [`LanguageModel::divergence`] and [`Run::next`].
    pub fn divergence(&self, base: &RunnableModel, tokens: &[u32], options: &RunOptions) -> Result<DivergenceReport> {
        let run = drive(self.model.divergence(&base.model, tokens, options)?, &[base, self])?;
        let report = run.divergence_so_far().and_then(|divergence| divergence.report());
        report.ok_or_else(|| Error::new(Code::NO_DATA, "no token was scored"))
    }

    fn read(&self, request: &Request) -> Result<Vec<u8>> {
        self.source.read(&ByteRange { offset: request.offset, length: request.length as u64, second: None })
    }
}

/// Completes a run, reading from its models.
fn drive(mut run: Run, models: &[&RunnableModel]) -> Result<Run> {
    while let Some(read) = run.next()? {
        let bytes = match models.get(read.model) {
            Some(model) => model.read(&read.request)?,
            None => Vec::new(),
        };
        run.supply(&bytes)?;
    }
    models.iter().try_for_each(|model| model.source.check())?;
    Ok(run)
}
