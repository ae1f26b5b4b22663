//! Conversion of language models: from a Hugging Face folder to the GGUF of llama.cpp's `convert_hf_to_gguf.py`, byte
//! for byte.
//!
//! ```text
//! files            the configuration and tokenizer files of the folder
//! architecture     the table of supported models and the mapping of their tensor names
//! hparams          config.json to `ARCH.*`
//! rope_scaling     Llama 3.1's RoPE scaling factors, which are a tensor
//! general          the folder's name, the model card and generation_config.json to `general.*`
//! model_id         parses the name of a model
//! model_card       parses the model card in README.md
//! tokenizer_class  the transformers class that reads a tokenizer
//! added_tokens     checks that the files that add tokens agree
//! vocabulary       tokenizer.json to tokens, their types and merges
//! sentencepiece    the same for SentencePiece vocabularies
//! chat_template    chat templates
//! reranker         the output tensor of rerankers
//! special_tokens   special tokens, and when they are added
//! pre_tokenizer    the pre-tokenizer, by llama.cpp's name for it
//! metadata         collects metadata pairs
//! ```
//!
//! Source: `conversion/base.py`, `llama.py`, `qwen.py`, `bert.py` and `gguf-py` of llama.cpp (MIT) as in
//! llama-cpp-python 0.3.36; the defaults of missing keys are those of transformers 5.24 (Apache-2.0), with which the
//! script reads them.

mod added_tokens;
mod architecture;
mod chat_template;
mod files;
mod general;
mod hparams;
mod metadata;
mod model_card;
mod model_id;
mod pre_tokenizer;
mod reranker;
mod rope_scaling;
mod sentencepiece;
mod special_tokens;
mod tokenizer;
mod tokenizer_class;
mod vocabulary;

use super::folder::{Float, Folder};
use super::plain::imported_tensor;
use crate::container::gguf::{Header, Tensor, TensorType};
use crate::container::safetensors::SafetensorsTensor;
use crate::error::{Code, Error, Result};
use crate::recipe::MAX_LANGUAGE_NAME;
use crate::sort::sorted;
use architecture::{Architecture, Row};
pub(super) use architecture::{class, converts};
use files::Files;
use hparams::HParams;
use metadata::MetadataBuilder;
use reranker::Reranker;
use std::collections::HashSet;

const CONFIG: &str = "config.json";

/// Creates the header of a language model.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for an unsupported architecture, tensor, RoPE scaling or tokenizer; [`Code::MALFORMED`] for
/// invalid or missing files, and for two tensors that map to the same name.
pub(super) fn header(folder: &Folder, float: Float, pre_tokenizer: Option<&str>) -> Result<Header> {
    let files = &Files::read(folder, pre_tokenizer)?;
    let config = files.need(CONFIG)?;
    let architecture = Architecture::of(config)?;
    let hparams = HParams::read(config, architecture)?;
    let order: Vec<&SafetensorsTensor> = folder.tensors().iter().collect();
    // Sorted by name within each file, and by file.
    let order = sorted(&order, |a, b| (folder.file_of(a), &a.name).cmp(&(folder.file_of(b), &b.name)));
    let mut tensors = Vec::with_capacity(order.len());
    if let Some(factors) = rope_scaling::factors(&hparams)? {
        let (shape, bytes) = (vec![factors.len() as u64], (factors.len() as u64).saturating_mul(4));
        let (name, dtype, offset) = ("rope_freqs.weight".into(), TensorType::F32, folder.size());
        tensors.push(Tensor {
            name,
            shape: shape.into(),
            dtype,
            stored_dtype: dtype,
            permuted_head_rows: 0,
            offset,
            bytes,
        });
    }
    let reranker = match reranker::is(files, folder, &hparams) {
        true => Some(Reranker::of(files, folder, &hparams)?),
        false => None,
    };
    for tensor in order {
        if let Some(reranker) = reranker.as_ref().filter(|reranker| reranker.head == Some(tensor)) {
            let rows = reranker.tensor(tensor, folder.size());
            tensors.push(converted(&rows, Row::plain("cls.output.weight"), &hparams, float)?);
            if !reranker.tied {
                continue;
            }
        }
        if let Some(row) = architecture.place(&tensor.name, hparams.layers)? {
            tensors.push(converted(tensor, row, &hparams, float)?);
        }
    }
    distinct(&tensors)?;
    let weights = tensors.iter().map(|tensor| tensor.shape.iter().product::<u64>()).sum();
    let dtypes = folder.tensors().iter().filter(|tensor| tensor.shape.len() > 1).map(|tensor| tensor.dtype);

    let mut pairs = MetadataBuilder::default();
    pairs.text("general.architecture", architecture.name);
    pairs.text("general.type", "model");
    general::write(files, folder.name(), weights, &mut pairs)?;
    hparams.write(float.file_type(dtypes), files, &mut pairs)?;
    if reranker.is_some() {
        reranker::write(&mut pairs);
    }
    pairs.u32("general.quantization_version", 2);
    vocabulary::write(files, &hparams, &mut pairs)?;
    Ok(Header::imported(&pairs.values(), tensors, folder.size()))
}

/// Rejects two tensors that map to the same name, as a tensor may have several spellings (`model.norm` and `norm`,
/// `gamma` and `weight`).
fn distinct(tensors: &[Tensor]) -> Result<()> {
    let mut names = HashSet::new();
    let Some(tensor) = tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) else { return Ok(()) };
    let message = format!("two tensors of the model map to '{}'", tensor.name);
    Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.name.as_str()))
}

/// Computed tensor data that is not in any file, to be read as if it followed the last file. Empty for most models, and
/// for those that [`header`] rejects.
pub(super) fn generated(folder: &Folder) -> Vec<u8> {
    let factors = || -> Result<Option<Vec<f32>>> {
        let files = Files::card(folder)?;
        let config = files.need(CONFIG)?;
        rope_scaling::factors(&HParams::read(config, Architecture::of(config)?)?)
    };
    factors().ok().flatten().unwrap_or_default().iter().flat_map(|factor| factor.to_le_bytes()).collect()
}

/// Ranges of the files (offset, bytes) that are read a second time after that. Empty for most models, and as above.
pub(super) fn repeated(folder: &Folder) -> Vec<(u64, u64)> {
    let ranges = || -> Result<Vec<(u64, u64)>> {
        let files = Files::card(folder)?;
        let config = files.need(CONFIG)?;
        let hparams = HParams::read(config, Architecture::of(config)?)?;
        if !reranker::is(&files, folder, &hparams) {
            return Ok(Vec::new());
        }
        Ok(Reranker::of(&Files::read(folder, None)?, folder, &hparams)?.ranges())
    };
    ranges().unwrap_or_default()
}

/// Converts one tensor under its new name: norms, biases and other one-dimensional tensors to F32, the rest as `float`
/// specifies.
fn converted(tensor: &SafetensorsTensor, row: Row, hparams: &HParams, float: Float) -> Result<Tensor> {
    let precise = row.precise || tensor.shape.len() <= 1 || row.name.ends_with("_norm.weight");
    let dtype = if precise || !row.name.ends_with(".weight") { TensorType::F32 } else { float.of(tensor.dtype) };
    let refuse = |message: String| {
        let message = format!("tensor '{}': {message}", tensor.name);
        Err(Error::new(Code::UNSUPPORTED, message).with("tensor", tensor.name.as_str()))
    };
    const FLOATS: &[TensorType] = &[TensorType::F64, TensorType::F32, TensorType::F16, TensorType::BF16];
    if !FLOATS.contains(&tensor.dtype) {
        return refuse(format!(
            "the weights of a language model must be F64, F32, F16 or BF16, not {}",
            tensor.dtype.name
        ));
    }
    let heads = hparams.heads_of(row.rotary);
    let rows = tensor.shape.first().copied().unwrap_or(0);
    let permuted_head_rows = rows.checked_div(heads).unwrap_or(0);
    if heads > 0 && (!rows.is_multiple_of(heads) || !permuted_head_rows.is_multiple_of(2)) {
        return refuse(format!("its {rows} rows cannot be divided into {heads} heads with an even number of rows"));
    }
    Ok(Tensor { permuted_head_rows, ..imported_tensor(tensor, row.name.into(), dtype, MAX_LANGUAGE_NAME)? })
}
