//! Calibrates the range of activations from batches with several methods, and resumes one of them from bytes.
//!
//! `cargo run --example calibration`

use quantpress::affine::QuantMode;
use quantpress::bench::generate_weights_with_outliers;
use quantpress::calibrate::{Calibrator, EntropyVariant};

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    let calibrators = [
        ("min-max", Calibrator::min_max(8, QuantMode::Symmetric)?),
        ("moving average", Calibrator::moving_average(8, QuantMode::Symmetric, 0.1)?),
        ("percentile 0.1..99.9", Calibrator::percentile(8, QuantMode::Symmetric, 0.1, 99.9, 10_000)?),
        ("entropy, TensorRT", Calibrator::entropy(8, QuantMode::Symmetric, EntropyVariant::TensorRt)?),
        ("entropy, ONNX Runtime", Calibrator::entropy(8, QuantMode::Symmetric, EntropyVariant::OnnxRuntime)?),
        ("MSE", Calibrator::mse(8, QuantMode::Symmetric)?),
    ];
    println!("{:22} {:>10} {:>10} {:>10} {:>6}", "method", "min", "max", "scale", "bytes");
    for (name, mut calibrator) in calibrators {
        for batch in 0..10 {
            // One value in a thousand is an outlier with a magnitude of 20 standard deviations.
            calibrator.observe(&generate_weights_with_outliers(4096, 0.001, 20.0, Some(batch))?)?;
        }
        // The serialized state survives a restart.
        let state = calibrator.to_bytes();
        let resumed = Calibrator::from_bytes(&state)?;
        let result = resumed.compute()?;
        println!(
            "{name:22} {:10.4} {:10.4} {:10.6} {:6}",
            result.observed_min,
            result.observed_max,
            result.scale,
            state.len()
        );
    }
    Ok(())
}
