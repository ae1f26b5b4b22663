//! The files of a safetensors model, and the target they are converted to.

use super::{diffusion, plain};
use crate::container::gguf::{Header, TensorType};
use crate::container::safetensors::{SafetensorsHeader, SafetensorsTensor};
use crate::error::{Code, Error, Result};
use std::collections::HashSet;

/// The type of weights that are not quantized, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// Each tensor's own precision: F32, F16 and BF16 stay what they are, F64 becomes F32, eight-bit floats F16.
    Source,
    /// One type for all tensors that are not kept in F32.
    Of(TensorType),
}

impl Float {
    /// The type of a tensor that is stored as `kind`.
    pub fn of(self, kind: TensorType) -> TensorType {
        match (self, kind) {
            (Float::Of(kind), _) => kind,
            (Float::Source, TensorType::F16 | TensorType::BF16) => kind,
            (Float::Source, TensorType::F8_E4M3 | TensorType::F8_E5M2) => TensorType::F16,
            (Float::Source, _) => TensorType::F32,
        }
    }

    /// Its number as `general.file_type`.
    pub fn file_type(self, kinds: impl Iterator<Item = TensorType>) -> u32 {
        let most = match self {
            Float::Of(kind) => kind,
            Float::Source => {
                kinds.map(|kind| self.of(kind)).find(|kind| *kind != TensorType::F32).unwrap_or(TensorType::F32)
            }
        };
        match most {
            TensorType::F16 => 1,
            TensorType::BF16 => 32,
            _ => 0,
        }
    }
}

/// A model in one or several safetensors files, which are read as if they stood end to end.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    tensors: Vec<SafetensorsTensor>,
    metadata: Vec<(String, String)>,
    size: u64,
    names: HashSet<String>,
}

impl Folder {
    /// Adds the next file.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] for a tensor that an earlier file has too.
    pub fn add(&mut self, header: SafetensorsHeader, file_size: u64) -> Result<()> {
        for mut tensor in header.tensors {
            if !self.names.insert(tensor.name.clone()) {
                let message = format!("tensor '{}' is in two files of the model", tensor.name);
                return Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.name.as_str()));
            }
            tensor.offset = tensor.offset.saturating_add(self.size);
            self.tensors.push(tensor);
        }
        self.metadata.extend(header.metadata);
        self.size = self.size.saturating_add(file_size);
        Ok(())
    }

    /// The tensors of all files; offsets count through all of them.
    pub fn tensors(&self) -> &[SafetensorsTensor] {
        &self.tensors
    }

    /// `__metadata__` of all files.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The model as GGUF, its float weights as `float` says.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for tensors that GGUF cannot hold, [`Code::TOO_LARGE`] for names and shapes beyond its limits.
    pub fn to_gguf(&self, float: Float) -> Result<Header> {
        match diffusion::Architecture::of(self)? {
            Some((architecture, prefix)) => diffusion::header(self, architecture, prefix, float),
            None => {
                self.refuse_language_model()?;
                plain::header(self, float)
            }
        }
    }

    /// A language model needs its tokenizer and its parameters, and as plain tensors no program could run it.
    fn refuse_language_model(&self) -> Result<()> {
        const PARTS: &[&str] = &["layers.0.self_attn.", "encoder.layer.0.attention.", "h.0.attn.", "layers.0.mlp."];
        let named = |tensor: &&SafetensorsTensor| PARTS.iter().any(|part| tensor.name.contains(part));
        let Some(found) = self.tensors.iter().find(named) else { return Ok(()) };
        let message = format!(
            "this is a language model (tensor '{}'), which is not converted from safetensors: make a GGUF of it first",
            found.name
        );
        Err(Error::new(Code::UNSUPPORTED, message).with("tensor", found.name.as_str()))
    }
}
