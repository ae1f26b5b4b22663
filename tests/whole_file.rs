//! Whole files: what a plan and its tiles make of a model, against what llama.cpp's own `llama_model_quantize` writes.
//!
//! `cargo test --test whole_file -- moe Q4_K_M` runs the cases whose names contain every word given. Where the reference
//! refuses a case we must refuse it too. `QUANTPRESS_ALL=1` runs every case, `QUANTPRESS_SEED` repeats a run;
//! `QUANTPRESS_GGML` names another `libggml-base.so`, with libllama beside it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod support;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[path = "whole_file"]
mod whole_file {
    pub mod cases;
    pub mod compare;
    pub mod llama;
    pub mod models;
}

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    whole_file::llama::serve();
    whole_file::compare::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn main() {
    println!("not compared with the live reference: its prebuilt library exists for linux-x64 only");
}
