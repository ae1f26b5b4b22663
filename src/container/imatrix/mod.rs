//! Importance matrices: for every tensor one non-negative weight per column (and expert), measured by running a model.
//!
//! Two forms exist, both written by `llama-imatrix`: the legacy `.dat` (`legacy.rs`) and a GGUF file of sums and counts
//! (`sums.rs`). Both are read to the values `llama-quantize` computes from them (`load_imatrix`), bit by bit.

mod legacy;
mod sums;

use crate::container::gguf::MAGIC;
use crate::error::{Code, Error, Result};
use std::collections::BTreeMap;

/// Values in a whole matrix: the largest known models have some hundred million columns times experts.
pub const MAX_VALUES: u64 = 1 << 30;
/// Entries in a matrix; as many as a model may have tensors.
pub const MAX_ENTRIES: u64 = 1 << 20;

/// A whole importance matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportanceMatrix {
    entries: BTreeMap<String, Entry>,
    /// The texts it was measured on, as the file names them.
    pub datasets: Vec<String>,
    /// How many chunks of text were run; `None` where the file does not say.
    pub chunks: Option<i32>,
}

/// The importance of one tensor's columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// One weight per column, for every expert in turn.
    pub values: Vec<f32>,
    /// How often each expert was run; the legacy form has one count for all.
    pub counts: Vec<i64>,
}

impl ImportanceMatrix {
    /// Reads either form, told apart by the first bytes.
    ///
    /// # Errors
    /// [`Code::TRUNCATED`], [`Code::MALFORMED`] and [`Code::TOO_LARGE`] for a file that is not what it should be,
    /// [`Code::NON_FINITE`] for a value that is no number, which llama-quantize refuses too, and [`Code::RANGE`] for a
    /// negative one. A GGUF form that breaks the container's rules has [`gguf::parse`](crate::container::gguf::parse)'s errors.
    pub fn parse(bytes: &[u8]) -> Result<ImportanceMatrix> {
        let matrix = if bytes.starts_with(&MAGIC) { sums::parse(bytes)? } else { legacy::parse(bytes)? };
        if matrix.entries.is_empty() {
            return Err(Error::new(Code::MALFORMED, "the importance matrix has no entries"));
        }
        for (name, entry) in &matrix.entries {
            check(name, &entry.values)?;
        }
        Ok(matrix)
    }

    /// Every tensor's name and entry, by name.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry of a tensor.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Keeps the entries whose name `keep` accepts.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|name, _| keep(name));
    }
}

fn check(name: &str, values: &[f32]) -> Result<()> {
    let Some(index) = values.iter().position(|x| !(x.is_finite() && *x >= 0.0)) else { return Ok(()) };
    let value = values.get(index).copied().unwrap_or(f32::NAN);
    let (code, rule) =
        if value.is_finite() { (Code::RANGE, "not negative") } else { (Code::NON_FINITE, "a finite number") };
    let message = format!("importance {index} of '{name}' is {value}, and must be {rule}");
    Err(Error::new(code, message).with("tensor", name).with("index", index))
}
