//! Qwen3 rerankers, which rate whether a document answers a query. Of the output for all tokens only the rows of "yes"
//! and "no" are kept: a tensor that is not in the files, but whose rows are.
//!
//! Source: `Qwen3Model` of llama.cpp's `conversion/qwen.py` (MIT).

use super::chat_template;
use super::files::{Files, bad};
use super::hparams::HParams;
use super::metadata::MetadataBuilder;
use super::tokenizer::{TOKENIZER, id_of};
use crate::container::safetensors::SafetensorsTensor;
use crate::convert::folder::Folder;
use crate::error::{Code, Error, Result};

/// Names in the model card's heading or the model's name that identify a reranker.
const NAMES: &[&str] = &["qwen3-reranker", "qwen3-vl-reranker"];
const POOLING_RANK: u32 = 4;
const TEMPLATE: &str = "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the \
    Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n\
    <|im_start|>user\n<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n\
    <Query>: {query}\n<Document>: {document}<|im_end|>\n\
    <|im_start|>assistant\n<think>\n\n</think>\n\n";

/// The rows of a reranker.
#[derive(Debug)]
pub(super) struct Reranker<'a> {
    /// The tensor that contains the rows.
    pub head: Option<&'a SafetensorsTensor>,
    /// Whether that tensor is the token embedding, which is kept too.
    pub tied: bool,
    /// The rows of "yes" and "no".
    rows: [u64; 2],
}

/// Whether a model is a reranker, by its card or the name of its folder. Its name in config.json is ignored, because
/// transformers, with which the script reads it, drops it.
pub(super) fn is(files: &Files, folder: &Folder, hparams: &HParams) -> bool {
    if hparams.architecture.name != "qwen3" {
        return false;
    }
    let card = files.text("README.md").unwrap_or_default().to_ascii_lowercase();
    let folder = folder.name().to_ascii_lowercase();
    NAMES.iter().any(|name| card.contains(&format!("# {name}")) || folder.contains(name))
}

impl<'a> Reranker<'a> {
    /// Finds the rows.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a tokenizer without the two words, [`Code::MALFORMED`] if the output tensor does not
    /// have their rows.
    pub fn of(files: &Files, folder: &'a Folder, hparams: &HParams) -> Result<Self> {
        let tied = hparams.flag("tie_word_embeddings");
        let part = if tied { "embed_tokens" } else { "lm_head" };
        let head = folder.tensors().iter().find(|tensor| tensor.name.contains(part));
        let tokenizer = files.need(TOKENIZER)?;
        let row = |word: &str| {
            let id = id_of(tokenizer, word).ok_or_else(|| {
                bad(
                    TOKENIZER,
                    Code::UNSUPPORTED,
                    format!("a reranker needs the token '{word}', which it does not have"),
                )
            })?;
            match head.filter(|head| head.shape.len() != 2 || head.shape.first().is_none_or(|rows| *rows <= id)) {
                Some(head) => {
                    let message = format!("tensor '{}': it has no row {id} for '{word}'", head.name);
                    Err(Error::new(Code::MALFORMED, message).with("tensor", head.name.as_str()))
                }
                None => Ok(id),
            }
        };
        Ok(Reranker { head, tied, rows: [row("yes")?, row("no")?] })
    }

    /// The positions of the rows in the concatenated files: offset and length.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let Some(head) = self.head else { return Vec::new() };
        let bytes = head.bytes.checked_div(head.shape.first().copied().unwrap_or(0)).unwrap_or(0);
        self.rows.iter().map(|row| (head.offset.saturating_add(row.saturating_mul(bytes)), bytes)).collect()
    }

    /// The tensor made of the rows, read from `offset`.
    pub fn tensor(&self, head: &SafetensorsTensor, offset: u64) -> SafetensorsTensor {
        let bytes = self.ranges().iter().map(|(_, bytes)| bytes).sum();
        let shape = vec![self.rows.len() as u64, head.shape.get(1).copied().unwrap_or(0)];
        SafetensorsTensor { name: head.name.clone(), dtype: head.dtype, shape: shape.into(), offset, bytes }
    }
}

/// Writes the metadata for using a reranker.
pub(super) fn write(out: &mut MetadataBuilder) {
    out.u32("qwen3.pooling_type", POOLING_RANK);
    out.texts("qwen3.classifier.output_labels", ["yes", "no"].into_iter());
    chat_template::write_choices(std::iter::once(("rerank", TEMPLATE)), out);
}
