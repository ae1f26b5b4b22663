//! Whole files: the output of a plan and its tiles, compared with that of llama.cpp's `llama_model_quantize`.
//!
//! `cargo test --test whole_file -- moe Q4_K_M` runs the cases whose names contain all given words. If the reference
//! rejects a case, our engine must reject it too. `QUANTPRESS_ALL=1` runs every case, `QUANTPRESS_SEED` repeats a run;
//! `QUANTPRESS_GGML` selects another `libggml-base.so`, with libllama in the same folder.

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
    println!("skipped: the prebuilt reference library exists for linux-x64 only");
}
