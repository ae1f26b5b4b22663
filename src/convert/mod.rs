//! safetensors to GGUF: what a model's tensors and metadata become. A GGUF header is made whose tensors point into the
//! safetensors files; the planner then treats it as any other model.
//!
//! ```text
//! folder     the files of a model
//! kind       which of the targets below it is
//! companion  tensors without which the weights of others are wrong
//! language   language models, as llama.cpp's convert_hf_to_gguf.py writes them
//! diffusion  image and video models, as ComfyUI-GGUF's loader expects them
//! four_bit   not to GGUF: a safetensors file in bitsandbytes' formats
//! plain      only on request: tensors under their own names, and no architecture that a program could run
//! ```

mod companion;
mod diffusion;
mod folder;
mod four_bit;
mod kind;
mod language;
mod plain;
mod plan;

pub use folder::{Float, Folder};
pub use plan::{Source, plan};
