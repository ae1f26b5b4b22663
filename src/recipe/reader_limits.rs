//! Limits of GGUF readers: tensor names and dimensions that the file format allows but ggml does not read.
//!
//! | architecture | maximum bytes of a tensor's name | dimensions | reason |
//! |---|---|---|---|
//! | a language model | 63 | 4 | `GGML_MAX_NAME` of 64 with its final zero, `GGML_MAX_DIMS` |
//! | an image model, or none | 127 | 5 | ComfyUI-GGUF and stable-diffusion.cpp build ggml with `GGML_MAX_NAME` of 128 |
//! | `plain` | the parser's limit | 5 | no program runs it |
//!
//! Source: `gguf_init_from_file` in ggml's `gguf.cpp` (MIT), which rejects the whole file because of one such tensor.

use super::diffusion::is_diffusion;
use crate::container::gguf::{Header, MAX_DIMS, MAX_NAME_BYTES, MAX_READ_DIMS};
use crate::error::{Code, Error, Result};

/// Maximum length in bytes of a tensor name in llama.cpp.
pub(crate) const MAX_LANGUAGE_NAME: u64 = 63;
/// Maximum length in bytes of a tensor name in readers of image models.
pub(crate) const MAX_DIFFUSION_NAME: u64 = 127;
/// The architecture of a plain container, which no program runs.
pub(crate) const PLAIN: &str = "plain";

/// The limits of the readers of an architecture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    name: u64,
    dims: usize,
    reader: &'static str,
}

impl Limits {
    pub fn of(architecture: &str) -> Limits {
        let (name, dims, reader) = match architecture {
            PLAIN => (MAX_NAME_BYTES, MAX_READ_DIMS, "Quantpress"),
            _ if is_diffusion(architecture) || architecture.is_empty() => {
                (MAX_DIFFUSION_NAME, MAX_READ_DIMS, "the loader of image models")
            }
            _ => (MAX_LANGUAGE_NAME, MAX_DIMS, "llama.cpp"),
        };
        Limits { name, dims: dims as usize, reader }
    }

    /// The limit that a tensor exceeds, if any.
    fn broken(self, name: &str, dims: usize) -> Option<String> {
        let Limits { reader, .. } = self;
        if name.len() as u64 > self.name {
            let most = self.name;
            return Some(format!("its name has {} bytes, but {reader} reads at most {most}; rename it", name.len()));
        }
        (dims > self.dims).then(|| format!("it has {dims} dimensions, but {reader} reads at most {}", self.dims))
    }

    /// Rejects a tensor that could be written but not read.
    ///
    /// # Errors
    /// [`Code::TOO_LARGE`] with the limit.
    pub fn check(self, name: &str, dims: usize) -> Result<()> {
        match self.broken(name, dims) {
            None => Ok(()),
            Some(message) => {
                let limit = if name.len() as u64 > self.name { self.name } else { self.dims as u64 };
                Err(Error::new(Code::TOO_LARGE, message).with("tensor", name).with("limit", limit))
            }
        }
    }
}

/// The tensors that the readers of the file's architecture cannot read, each with the reason.
pub fn unreadable(header: &Header) -> Vec<(&str, String)> {
    let architecture = header.get("general.architecture");
    let limits = Limits::of(architecture.as_ref().and_then(|value| value.as_str()).unwrap_or_default());
    let tensors = header.tensors().iter();
    tensors.filter_map(|t| Some((t.name.as_str(), limits.broken(&t.name, t.shape.len())?))).collect()
}
