//! Importance matrices: one non-negative importance per column (and expert) of each tensor, measured by running a
//! model.
//!
//! `llama-imatrix` writes two formats: the legacy `.dat` (`legacy.rs`) and a GGUF file with sums and counts
//! (`gguf.rs`). Both are read to the same values, bit for bit, that `llama-quantize` computes from them
//! (`load_imatrix`).

mod gguf;
mod legacy;

use crate::container::gguf::MAGIC;
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

/// Maximum number of values in a matrix. The largest known models have some hundred million columns times experts.
pub const MAX_VALUES: u64 = 1 << 30;
/// Maximum number of entries in a matrix, as many as a model may have tensors.
pub const MAX_ENTRIES: u64 = 1 << 20;

/// A whole importance matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportanceMatrix {
    entries: BTreeMap<String, Entry>,
    /// The names of the calibration texts, as stated in the file.
    pub datasets: Vec<String>,
    /// The number of chunks of text that were run; `None` if the file does not state it.
    pub chunks: Option<i32>,
}

/// The importance of one tensor's columns.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// One importance per column, for each expert in turn.
    pub values: Vec<f32>,
    /// How often each expert was run; the legacy format has one count for all experts.
    pub counts: Vec<i64>,
}

impl ImportanceMatrix {
    /// Parses either format, which is detected from the first bytes.
    ///
    /// # Errors
    /// [`Code::TRUNCATED`], [`Code::MALFORMED`] and [`Code::TOO_LARGE`] for an invalid file, [`Code::NON_FINITE`] for a
    /// NaN or infinite value (which llama-quantize rejects too), [`Code::RANGE`] for a negative one, and for a GGUF
    /// file the errors of [`gguf::parse`](crate::container::gguf::parse).
    pub fn parse(bytes: &[u8]) -> Result<ImportanceMatrix> {
        let matrix = if bytes.starts_with(&MAGIC) { gguf::parse(bytes)? } else { legacy::parse(bytes)? };
        if matrix.entries.is_empty() {
            return Err(Error::new(Code::MALFORMED, "the importance matrix has no entries"));
        }
        for (name, entry) in &matrix.entries {
            check(name, &entry.values)?;
        }
        Ok(matrix)
    }

    /// All tensor names and entries, sorted by name.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry of a tensor, if there is one.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The entry that applies to a tensor of this name and shape (row length first): it has a value for each column, and each
    /// expert if there are several (`shape[2]`).
    ///
    /// # Errors
    /// [`Code::LENGTH`] if it has another number of values. For token embeddings the result is `None` then, because their rows
    /// are tokens.
    pub fn of_tensor(&self, name: &str, shape: &[u64]) -> Result<Option<&Entry>> {
        let Some(entry) = self.get(name) else { return Ok(None) };
        let dimension = |index: usize| shape.get(index).copied().unwrap_or(1);
        let (have, want) = (entry.values.len() as u64, dimension(0).saturating_mul(dimension(2)));
        if have == want && dimension(3) == 1 {
            return Ok(Some(entry));
        }
        if name == "token_embd.weight" || name == "per_layer_token_embd.weight" {
            return Ok(None); // its rows are tokens, so measured importance never matches
        }
        let message = format!("its importance has {have} values; expected {want} (columns times experts)");
        Err(Error::new(Code::LENGTH, message).with("actual", have).with("expected", want))
    }

    /// Keeps only the entries whose name `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|name, _| keep(name));
    }
}

fn check(name: &str, values: &[f32]) -> Result<()> {
    let Some(index) = values.iter().position(|x| !(x.is_finite() && *x >= 0.0)) else { return Ok(()) };
    let value = values.get(index).copied().unwrap_or(f32::NAN);
    let (code, rule) =
        if value.is_finite() { (Code::RANGE, "not negative") } else { (Code::NON_FINITE, "a finite number") };
    let message = format!("importance {index} of '{name}' is {value}, but must be {rule}");
    Err(Error::new(code, message).with("tensor", name).with("index", index))
}
