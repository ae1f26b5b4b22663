//! The native tests of the library, linked as one program because linking each program takes seconds.
//!
//! `cargo test --test library affine::` runs one file. The tests against live references are separate programs
//! (`oracle`, `whole_file`), as is the test that counts allocations (`hostile`).

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod golden;
mod support;

mod affine;
mod analysis;
mod bench;
mod bnb;
mod calibrate;
mod container;
mod diffusion;
mod digits;
mod examples;
mod files;
mod format_pages;
mod formats;
mod imatrix;
mod inference;
mod inference_text;
mod job;
mod lanes;
mod language;
mod long_rows;
mod model_analysis;
mod nf4;
mod plan;
mod properties;
mod qat;
mod safetensors;
mod selection;
mod stored;
mod tables;
mod tiled;
mod tiles;
mod whale;
