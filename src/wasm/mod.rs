//! The JavaScript bindings. They mirror the folders of the crate and contain no logic: typed arrays and plain objects
//! in, typed arrays and plain objects out, and every error with its code. `read` reads arguments, `build` builds results,
//! and `arrays` lets the crate's tile loops run over typed arrays.
//!
//! The package has several WebAssembly modules, so that a page downloads only what it uses. Each is this crate with one
//! of these features:
//!
//! ```text
//! bindings            quantpress.wasm            arrays, and the tasks that workers run
//! bindings-model      quantpress-model.wasm      whole models: opened, planned, converted by tasks
//! bindings-convert    quantpress-convert.wasm    safetensors models: listed, and imported as GGUF
//! bindings-inference  quantpress-inference.wasm  models that are run on a text
//! bindings-bench      quantpress-bench.wasm      the accuracy benchmark, which trains a classifier
//! ```

// The helpers serve all modules, and none uses all of them.
#![allow(dead_code)]

mod arrays;
mod build;
mod error;
mod instance;
mod read;

#[cfg(feature = "bindings")]
mod affine;
#[cfg(feature = "bindings")]
mod analysis;
#[cfg(feature = "bindings")]
mod bench;
#[cfg(feature = "bindings")]
mod block_tensor;
#[cfg(feature = "bindings")]
mod calibrate;
#[cfg(feature = "bindings")]
mod format;
#[cfg(feature = "bindings")]
mod hash;
#[cfg(feature = "bindings")]
mod nf4;
#[cfg(feature = "bindings")]
mod qat;
#[cfg(feature = "bindings")]
mod stored;
#[cfg(feature = "bindings")]
mod task;

#[cfg(feature = "bindings-model")]
mod best_mix;
#[cfg(feature = "bindings-model")]
mod imported;
#[cfg(feature = "bindings-model")]
mod job;
#[cfg(feature = "bindings-model")]
mod metadata;
#[cfg(feature = "bindings-model")]
mod model;
#[cfg(feature = "bindings-model")]
mod model_analysis;

#[cfg(feature = "bindings-convert")]
mod safetensors;

#[cfg(feature = "bindings-bench")]
mod digits;

#[cfg(feature = "bindings-inference")]
mod inference;
