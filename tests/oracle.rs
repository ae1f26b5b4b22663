//! Every format compared with the live reference: ggml's own library, with new random weights in each run.
//!
//! `cargo test --test oracle -- Q4_K` runs one format. `QUANTPRESS_SEED` repeats a run, `QUANTPRESS_QUICK=1` shortens
//! it, `QUANTPRESS_GGML` selects another `libggml-base.so`. Each format runs in its own process, because the reference
//! aborts on some inputs; in these cases our engine must return a typed error.
//!
//! `cargo test --test oracle -- --write-golden` writes the vectors in `tests/golden/formats`, which are used on
//! machines without the library.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

mod support;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[path = "oracle/compare.rs"]
mod compare;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[path = "oracle/golden.rs"]
mod golden;

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn main() -> std::process::ExitCode {
    compare::main()
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
fn main() {
    println!(
        "skipped: the prebuilt reference library exists for linux-x64 only; the golden vectors are still compared"
    );
}
