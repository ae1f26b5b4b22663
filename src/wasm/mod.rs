//! The JavaScript bindings. They mirror the folders of the crate and contain no logic: typed arrays and plain objects
//! in, typed arrays and plain objects out, and every error with its code.

mod affine;
mod analysis;
mod bench;
mod best_mix;
mod block_tensor;
mod calibrate;
mod columns;
mod error;
mod fields;
mod format;
mod hash;
mod instance;
mod job;
mod metadata;
mod model;
mod model_analysis;
mod nf4;
mod object;
mod plain;
mod qat;
mod safetensors;
mod tiles;
