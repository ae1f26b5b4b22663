//! The accuracy benchmark: a classifier of handwritten digits, quantized after training (PTQ) and during training
//! (QAT).
//!
//! The data is scikit-learn's digits (1797 images of 8 x 8, the test set of UCI's "Optical Recognition of Handwritten
//! Digits"), three quarters for training and one quarter for testing. The classifier is a perceptron, 64-32-10 with a
//! ReLU. Weights and the inputs of both layers are quantized; biases and sums are not, as in integer inference, where
//! they have 32 bits.
//!
//! ```text
//! PTQ   ranges of weights (symmetric) and activations (unsigned) from a calibrator; no further training
//! QAT   continues training the classifier with fake quantization and learned step sizes (LSQ)
//! ```
//!
//! Everything is seeded and computed in a fixed order: native and wasm runs give the same accuracies. The test quarter
//! is only used for the reported accuracies.

mod data;
mod mlp;
mod ptq;
mod qat;
mod report;

pub use data::Digits;
pub use report::{
    AccuracyBenchmark, AccuracyOptions, AccuracyReport, PtqAccuracy, QatAccuracy, calibration_methods,
    run_accuracy_benchmark,
};
