//! A model with its tokenizer: from a text to a run over its chunks.

use super::evaluate::chunks;
use super::model::Model;
use super::run::{Run, RunOptions};
use super::tokenizer::{TokenizeOptions, Tokenizer};
use crate::container::gguf::Header;
use crate::error::{Code, Error, Result};
use std::sync::Arc;

/// The tokens of a chunk unless specified, as in `llama-imatrix` and `llama-perplexity`.
const CHUNK: usize = 512;
/// The fewest tokens of a chunk: one of its second half must be predicted.
const MIN_CHUNK: usize = 4;
/// Tokens that are run at once, if a chunk is not longer.
const BATCH_TOKENS: usize = 2048;
/// Bytes of activations that are in memory at once, if those of a chunk are not more.
const BATCH_BYTES: usize = 1 << 28;

/// A model with its tokenizer, without I/O.
#[derive(Debug)]
pub struct LanguageModel {
    model: Arc<Model>,
    tokenizer: Tokenizer,
}

impl LanguageModel {
    /// Reads model and tokenizer.
    ///
    /// # Errors
    /// Those of [`Model::new`] and [`Tokenizer::new`]; [`Code::MALFORMED`] if the tokenizer has more tokens than the
    /// embedding has rows.
    pub fn new(header: &Header) -> Result<LanguageModel> {
        let (model, tokenizer) = (Model::new(header)?, Tokenizer::new(header)?);
        let (tokens, rows) = (tokenizer.vocabulary().len(), model.vocabulary());
        if tokens > rows {
            let message = format!("the vocabulary has {tokens} tokens, but the embedding has only {rows} rows");
            return Err(Error::new(Code::MALFORMED, message).with("tokens", tokens).with("rows", rows));
        }
        Ok(LanguageModel { model: Arc::new(model), tokenizer })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens of a text, with those that the vocabulary adds. The texts of special tokens become those tokens if
    /// `parse_special`.
    pub fn tokens(&self, text: &[u8], parse_special: bool) -> Vec<u32> {
        self.tokenizer.tokenize(text, TokenizeOptions { add_special: true, parse_special })
    }

    /// The importance matrix of a text's tokens as `llama-imatrix` makes it, with keys and values rounded to F16.
    ///
    /// # Errors
    /// As for [`Self::perplexity`].
    pub fn importance(&self, tokens: &[u32], options: &RunOptions) -> Result<Run> {
        let (chunks, batch) = self.cut(tokens, options)?;
        Ok(Run::importance(&self.model, chunks, batch, options.process_output))
    }

    /// The perplexity of a text's tokens as `llama-perplexity` computes it: the second half of each chunk is scored.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] for a text of less than two chunks, [`Code::RANGE`] for chunks of less than four tokens.
    pub fn perplexity(&self, tokens: &[u32], options: &RunOptions) -> Result<Run> {
        let (chunks, batch) = self.cut(tokens, options)?;
        Ok(Run::perplexity(&self.model, chunks, batch))
    }

    /// The divergence of this model from `base`. Both must have the same vocabulary.
    ///
    /// # Errors
    /// As for [`Self::perplexity`]; [`Code::ARGUMENT`] if the vocabularies differ.
    pub fn divergence(&self, base: &LanguageModel, tokens: &[u32], options: &RunOptions) -> Result<Run> {
        let (ours, theirs) = (self.model.vocabulary(), base.model.vocabulary());
        if ours != theirs || !self.tokenizer.vocabulary().same_tokens(base.tokenizer.vocabulary()) {
            let message = format!(
                "the models have different vocabularies ({ours} and {theirs} tokens): compare a model with its original"
            );
            return Err(Error::new(Code::ARGUMENT, message));
        }
        let (chunks, own) = self.cut(tokens, options)?;
        let (_, other) = base.cut(tokens, options)?;
        Ok(Run::divergence(&base.model, &self.model, chunks, own.min(other)))
    }

    /// The chunks of a text, and how many are run at once.
    fn cut(&self, tokens: &[u32], options: &RunOptions) -> Result<(Vec<Vec<u32>>, usize)> {
        let size = match (options.chunk_size, usize::try_from(self.model.parameters.context)) {
            (0, Ok(context)) if context >= MIN_CHUNK => CHUNK.min(context),
            (0, _) => CHUNK,
            (size, _) => size,
        };
        if size < MIN_CHUNK {
            let message = format!("chunks of {size} tokens are too short: the least is {MIN_CHUNK}");
            return Err(Error::new(Code::RANGE, message).with("chunkSize", size).with("minimum", MIN_CHUNK));
        }
        let mut chunks = chunks(tokens, size, self.tokenizer.begin())?;
        if options.chunks > 0 {
            chunks.truncate(options.chunks);
        }
        let batch = match options.batch {
            0 => BATCH_TOKENS.min(BATCH_BYTES / self.model.activation_bytes().max(1)) / size,
            batch => batch,
        };
        Ok((chunks, batch.max(1)))
    }
}
