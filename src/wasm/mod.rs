//! The boundary to JavaScript. It mirrors the folders of the crate, and has no ideas of its own: typed arrays and plain
//! objects in, typed arrays and plain objects out, every error with its code.

mod affine;
mod analysis;
mod bench;
mod calibrate;
mod columns;
mod error;
mod fields;
mod format;
mod gguf;
mod hash;
mod instance;
mod job;
mod metadata;
mod model;
mod nf4;
mod object;
mod plain;
mod qat;
mod safetensors;
mod tiles;
