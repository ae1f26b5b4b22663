//! The metadata of the output file.

use super::diffusion::is_diffusion;
use super::options::{MAX_OVERRIDE_BYTES, Options};
use super::tensor_names::Pruner;
use crate::container::gguf::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Header, MAX_ALIGNMENT, SPLIT_KEYS, Value, encode_pair};
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};

/// The version of ggml's formats, unchanged since 2023.
const QUANTIZATION_VERSION: u32 = 2;

/// Metadata pairs in output order.
#[derive(Debug)]
pub(super) struct OutputMetadata {
    pairs: Builder,
    pub alignment: u32,
}

impl OutputMetadata {
    /// The pairs of a header, unchanged.
    pub fn of(header: &Header) -> OutputMetadata {
        let pairs = header.metadata().map(|pair| (pair.key.to_owned(), pair.raw.to_vec())).collect();
        OutputMetadata { pairs: Builder { pairs, in_place: false }, alignment: header.alignment() }
    }

    /// All encoded pairs, with additional ones set at the end.
    pub fn and<'a>(&self, more: impl Iterator<Item = (&'a str, &'a Value<'a>)>) -> Vec<Vec<u8>> {
        let mut out = self.pairs.clone();
        more.for_each(|(key, value)| out.set(key, value));
        out.pairs.into_iter().map(|(_, raw)| raw).collect()
    }
}

/// An ordered list of pairs. Setting a key moves it to the end, like `gguf_set_val_*`.
#[derive(Clone, Debug)]
struct Builder {
    pairs: Vec<(String, Vec<u8>)>,
    /// Whether existing keys keep their position, as in the llama.cpp version that ComfyUI-GGUF patches.
    in_place: bool,
}

impl Builder {
    fn remove(&mut self, key: &str) {
        self.pairs.retain(|(present, _)| present != key);
    }

    fn set(&mut self, key: &str, value: &Value) {
        let pair = encode_pair(key, value);
        if let Some((_, raw)) = self.pairs.iter_mut().find(|(present, _)| self.in_place && present == key) {
            *raw = pair;
            return;
        }
        self.remove(key);
        self.pairs.push((key.to_owned(), pair));
    }
}

/// The input's pairs, byte for byte and in order, followed by those that a conversion sets.
///
/// # Errors
/// [`Code::RANGE`] for an override of `general.alignment` that is not a power of two.
pub(super) fn pairs(
    header: &Header,
    options: &Options,
    ftype: u32,
    importance: Option<&ImportanceMatrix>,
    pruner: &Pruner,
    architecture: &str,
) -> Result<OutputMetadata> {
    let OutputMetadata { pairs: mut out, mut alignment } = OutputMetadata::of(header);
    out.in_place = is_diffusion(architecture);
    out.set("general.quantization_version", &Value::U32(QUANTIZATION_VERSION));
    out.set("general.file_type", &Value::U32(ftype));
    for key in SPLIT_KEYS {
        out.remove(key);
    }
    for entry in &options.overrides {
        let value = entry.value.as_value();
        if entry.key == ALIGNMENT_KEY {
            alignment = overridden_alignment(&value)?;
        }
        out.set(&entry.key, &value);
    }
    if let Some(importance) = importance {
        set_importance(&mut out, importance, options.recipe.imatrix_file.as_deref());
    }
    if pruner.is_active() {
        out.set(&format!("{architecture}.block_count"), &Value::U32(pruner.next));
    }
    Ok(OutputMetadata { pairs: out, alignment })
}

fn overridden_alignment(value: &Value) -> Result<u32> {
    match value {
        Value::U32(alignment) if alignment.is_power_of_two() && *alignment <= MAX_ALIGNMENT => Ok(*alignment),
        _ => {
            let message = format!(
                "{ALIGNMENT_KEY} must be an int, a power of two and at most {MAX_ALIGNMENT} (default {DEFAULT_ALIGNMENT})"
            );
            Err(Error::new(Code::RANGE, message).with("key", ALIGNMENT_KEY))
        }
    }
}

/// Sets the metadata with which `llama-quantize` describes the importance matrix it used.
fn set_importance(out: &mut Builder, importance: &ImportanceMatrix, file: Option<&str>) {
    if let Some(file) = file {
        out.set("quantize.imatrix.file", &Value::String(cut(file)));
    }
    if let Some(dataset) = importance.datasets.first() {
        out.set("quantize.imatrix.dataset", &Value::String(cut(dataset)));
    }
    let entries = importance.entries().len();
    out.set("quantize.imatrix.entries_count", &Value::U32(entries as u32));
    if let Some(chunks) = importance.chunks.and_then(|chunks| u32::try_from(chunks).ok()).filter(|chunks| *chunks > 0) {
        out.set("quantize.imatrix.chunks_count", &Value::U32(chunks));
    }
}

/// Truncates to the size of llama.cpp's buffer, even within a character.
fn cut(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    &bytes[..bytes.len().min(MAX_OVERRIDE_BYTES)]
}
