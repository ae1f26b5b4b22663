//! safetensors to GGUF: what a model's tensors and metadata become. A GGUF header is made whose tensors point into the
//! safetensors files; the planner then treats it as any other model.
//!
//! ```text
//! folder     the files of a model, and which of the targets below it is
//! language   language models, as llama.cpp's convert_hf_to_gguf.py writes them
//! diffusion  image and video models, as ComfyUI-GGUF's loader expects them
//! plain      anything else: tensors under their own names, and no architecture that a program could run
//! ```

mod diffusion;
mod folder;
mod language;
mod plain;
mod plan;

pub use folder::{Float, Folder};
pub use plan::{Source, plan};
