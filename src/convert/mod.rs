//! Conversion of safetensors models to GGUF. The result is a GGUF header whose tensors refer to the safetensors files,
//! which the planner treats like any other model.
//!
//! ```text
//! folder        the files of a model
//! model_kind    which of the conversions below a model needs
//! dispatch      calls the conversion of that kind
//! prequantized  detects weights that are already quantized
//! language      language models, as converted by llama.cpp's convert_hf_to_gguf.py
//! diffusion     image and video models, as expected by ComfyUI-GGUF's loader
//! bnb           not to GGUF: safetensors files in bitsandbytes' formats
//! plain         on request only: tensors under their own names, without an architecture that a program could run
//! ```

mod bnb;
mod diffusion;
mod dispatch;
mod folder;
mod import;
mod language;
mod model_kind;
mod plain;
mod prequantized;

pub use folder::{Float, Folder};
pub use import::{GgufImport, ImportAssembler, ImportSpec, Imported, plan};
