//! Quantize model weights, with output byte-identical to llama.cpp, bitsandbytes and PyTorch.
//!
//! Quantize a whole model:
//!
#![cfg_attr(feature = "fs", doc = "```no_run")]
#![cfg_attr(not(feature = "fs"), doc = "```ignore")]
//! use quantpress::fs::{QuantizeOptions, quantize_file};
//! use quantpress::recipe::Recipe;
//!
//! let recipe = Recipe::new("Q4_K_M");
//! let report = quantize_file("model-f16.gguf", "model-Q4_K_M.gguf", &recipe, &QuantizeOptions::default())?;
//! println!("{} bytes", report.size);
//! # Ok::<(), quantpress::Error>(())
//! ```
//!
//! This writes the same bytes as `llama-quantize model-f16.gguf model-Q4_K_M.gguf Q4_K_M`. The input can also be a
//! Hugging Face folder. `examples/quantize_file.rs` adds progress and a report.
//!
//! Quantize weights in memory:
//!
//! ```
//! let weights: Vec<f32> = (0..256).map(|i| (i as f32 * 0.1).sin()).collect();
//! let bytes = quantpress::quantize(&weights, "Q4_K", weights.len(), None)?;
//! assert_eq!(bytes.len(), 144);
//! assert_eq!(quantpress::dequantize(&bytes, "Q4_K")?.len(), 256);
//! # Ok::<(), quantpress::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | adds | default |
//! |---|---|---|
//! | `fs` | `fs`: whole files by path, with threads | yes |
//! | `bench` | `bench`: weight generators, the benchmark suite | yes |
//! | `models` | `convert`, `recipe`, `inference`, `job`: whole models, without I/O | with `fs` |
//! | `serde` | `Serialize` and `Deserialize` for options and results | with each of them |
//!
//! Without features the crate has the codecs: block formats, 4-bit, integers, calibration, fake quantization, error statistics, and
//! the parsers of GGUF and safetensors.
//!
//! # Modules
//!
//! From top to bottom. A module uses only modules below it:
//!
//! ```text
//! wasm   fs                                    JavaScript bindings (wasm32); files and threads (feature `fs`)
//! job                                          a conversion as a sans-I/O state machine: tasks, journal, hashes, report
//! convert                                      Hugging Face and diffusion models to GGUF: tensors, metadata, tokenizers
//! recipe   inference   bench                   presets and the planner; the forward pass; the benchmark suite
//! analysis   qat   block_tensor                error statistics; fake quantization; Q4_0 and Q8_0 tensors
//! format   calibrate                           GGUF block formats; observers
//! container   nf4   affine   search            file parsers and writers; 4-bit; integers; scale searches
//! half   error   json   lanes   round   hash   small floats, errors, JSON, SIMD lanes, rounding, hashes
//! validation   serialization   sort            argument checks; structures as bytes; one sort for cold code
//! tiling                                       arrays that are processed tile by tile
//! allocation   interning   tagged_enum         fallible allocation; shared strings; deserializing enums with fields
//! setters                                      builder methods of options
//! ```

// The smaller WebAssembly modules export only some of the bindings that these items are for.
#![cfg_attr(
    any(
        feature = "bindings-model",
        feature = "bindings-convert",
        feature = "bindings-inference",
        feature = "bindings-bench"
    ),
    allow(dead_code, unused_imports)
)]

mod allocation;
pub mod error;
pub mod half;
#[cfg(feature = "models")]
pub mod hash;
pub mod interning;
pub mod json;
pub mod lanes;
pub mod round;
mod serialization;
mod setters;
mod sort;
#[cfg(feature = "serde")]
mod tagged_enum;
mod tiling;
mod validation;

pub mod affine;
pub mod container;
pub mod nf4;
pub mod search;

pub mod calibrate;
pub mod format;

pub mod analysis;
pub mod block_tensor;
pub mod qat;

#[cfg(feature = "bench")]
pub mod bench;
#[cfg(feature = "models")]
pub mod convert;
#[cfg(feature = "models")]
pub mod inference;
#[cfg(feature = "models")]
pub mod recipe;

#[cfg(feature = "models")]
pub mod job;

#[cfg(all(feature = "fs", not(target_arch = "wasm32")))]
pub mod fs;

#[cfg(all(
    any(
        feature = "bindings",
        feature = "bindings-model",
        feature = "bindings-convert",
        feature = "bindings-inference",
        feature = "bindings-bench"
    ),
    target_arch = "wasm32"
))]
mod wasm;

pub use affine::{dequantize_tensor, quantize_tensor};
pub use error::{Code, Detail, Error, Kind, Result};
pub use format::{Codec, dequantize, dequantize_into, formats, quantize, quantize_into, validate};
pub use nf4::{dequantize_4bit, dequantize_4bit_double, quantize_4bit, quantize_4bit_double};
pub use qat::{FakeQuantize, fake_quantize};

/// The guide's Rust examples run as doc tests; those in other languages run in tests/js/guide.test.ts.
#[cfg(all(doctest, feature = "bench", feature = "fs"))]
mod guide {
    #[doc = include_str!("../docs/quick-start.md")]
    struct QuickStart;
    #[doc = include_str!("../docs/qlora-and-qat.md")]
    struct QloraAndQat;
}
