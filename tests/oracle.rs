//! Every format against the live reference: ggml's own library, fresh random weights each run.
//!
//! `cargo test --test oracle -- Q4_K` runs one format. `QUANTPRESS_SEED` repeats a run, `QUANTPRESS_QUICK=1` shortens it,
//! `QUANTPRESS_GGML` names another `libggml-base.so`. Each format runs in a process of its own, because the reference
//! aborts on some inputs; there we must answer with a typed error.
//!
//! `cargo test --test oracle -- --write-golden` writes the vectors in `tests/golden/formats`, with which machines without
//! the library compare.

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
        "not compared with the live reference: its prebuilt library exists for linux-x64 only; golden vectors are"
    );
}
