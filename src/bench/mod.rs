//! Benchmarks: weight generators, the suite over all schemes, and the accuracy loss of a real classifier.
//!
//! | | |
//! |---|---|
//! | [`generate_gaussian_weights`], ... | weights with known distributions, seeded or from the system's entropy |
//! | [`run_benchmark`], [`run_full_benchmark_suite`] | error, size and time of one scheme or of all schemes |
//! | [`digits`] | a classifier of handwritten digits, quantized after training (PTQ) and during training (QAT) |
//! | [`accuracy_retention`] | the fraction of a task metric that quantization keeps |
//!
//! Nothing here reads a clock: the time is provided by a closure, so the same code runs where only `performance.now`
//! exists.

pub mod digits;
mod generators;
mod suite;

pub use generators::{
    Random, generate_gaussian_weights, generate_gaussian_weights_into, generate_multi_channel_weights,
    generate_multi_channel_weights_into, generate_uniform_weights, generate_uniform_weights_into,
    generate_weights_with_outliers, generate_weights_with_outliers_into,
};
pub use suite::{
    BenchmarkSuite, BitWidthDegradation, QuantBenchmarkResult, accuracy_retention, compare_bit_width_degradation,
    run_benchmark, run_full_benchmark_suite,
};
