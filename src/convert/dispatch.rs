//! The conversion of a folder, by the kind of model it contains.

use super::folder::{Float, Folder};
use super::model_kind::{self, Kind};
use super::prequantized;
use super::{diffusion, language, plain};
use crate::container::gguf::{Header, TensorType};
use crate::error::{Code, Error, Result};

impl Folder {
    /// Rejects weights that are codes: F8, and tensors with separate scales.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for such a model.
    pub fn refuse_codes(&self) -> Result<()> {
        prequantized::refuse(self)?;
        const CODES: &[TensorType] = &[TensorType::F8_E4M3, TensorType::F8_E5M2];
        let Some(tensor) = self.tensors().iter().find(|tensor| CODES.contains(&tensor.dtype)) else { return Ok(()) };
        let message = format!(
            "tensor '{}' is {}, which transformers would not dequantize. Open the model in F32, F16 or BF16",
            tensor.name, tensor.dtype.name
        );
        Err(Error::new(Code::UNSUPPORTED, message).with("tensor", tensor.name.as_str()))
    }

    /// Converts the model to GGUF; `float` is the dtype of weights that are not quantized. `pre_tokenizer` is the GGUF
    /// name of a language model's pre-tokenizer, if its files do not determine it.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for tensors that GGUF cannot store, [`Code::TOO_LARGE`] for names and shapes beyond its
    /// limits; for a language model also [`Code::MALFORMED`] for an invalid configuration or tokenizer file.
    pub fn to_gguf(&self, float: Float, pre_tokenizer: Option<&str>) -> Result<Header> {
        match model_kind::of(self)? {
            Kind::Diffusion(architecture, prefix) => diffusion::header(self, architecture, prefix, float),
            Kind::Language => language::header(self, float, pre_tokenizer),
        }
    }

    /// Converts any model to a plain container: every tensor under its own name.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a tensor that GGUF cannot store.
    pub fn to_plain(&self, float: Float) -> Result<Header> {
        plain::header(self, float)
    }

    /// Computed tensor data that is not in any file. A conversion reads it as if it followed the last file.
    pub fn generated(&self) -> Vec<u8> {
        if self.file("config.json").is_some() { language::generated(self) } else { Vec::new() }
    }

    /// Ranges of the files (offset, bytes) that a conversion reads a second time, as if they followed
    /// [`Folder::generated`].
    pub fn repeated(&self) -> Vec<(u64, u64)> {
        if self.file("config.json").is_some() { language::repeated(self) } else { Vec::new() }
    }
}
