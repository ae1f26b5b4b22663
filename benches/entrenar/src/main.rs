//! The operations of the original module on gaussian values: `entrenar-bench COUNT OPERATION` prints `{"ms":..}`, the
//! best run.
//!
//! Operations have the same names as in `benches/seed.js`, which runs this program. Rows have 4096 values.

use entrenar::Tensor;
use entrenar::quant::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROW: usize = 4096;

/// Repeats for at least five runs and a minimum time, up to a maximum time, and returns the shortest in milliseconds.
fn best<T>(mut run: impl FnMut() -> T) -> f64 {
    let (mut best, start) = (f64::INFINITY, Instant::now());
    for rounds in 0.. {
        let spent = start.elapsed();
        if (rounds >= 5 && spent > Duration::from_millis(400)) || (rounds > 0 && spent > Duration::from_secs(4)) {
            break;
        }
        let from = Instant::now();
        black_box(run());
        best = best.min(from.elapsed().as_secs_f64() * 1e3);
    }
    best
}

fn fake(values: &[f32]) -> FakeQuantize {
    let mut fake = FakeQuantize::q8();
    fake.calibrate(values);
    fake
}

/// The time of an operation in milliseconds; `None` if the name is unknown.
fn time(operation: &str, values: &[f32]) -> Option<f64> {
    use QuantGranularity::{PerChannel, PerGroup, PerTensor};
    use QuantMode::{Asymmetric, Symmetric};
    let shape = [values.len() / ROW, ROW];
    let tensor = || Tensor::from_vec(values.to_vec(), false);
    let quantize = |granularity, mode| best(|| quantize_tensor(values, &shape, granularity, mode, 8));
    let dequantize = |mode| {
        let tensor = quantize_tensor(values, &shape, PerChannel, mode, 8);
        best(|| dequantize_tensor(&tensor))
    };
    Some(match operation {
        "quantize4bit" => best(|| quantize_4bit(values)),
        "dequantize4bit" => {
            let tensor = quantize_4bit(values);
            best(|| dequantize_4bit(&tensor))
        }
        "quantize4bitDouble" => best(|| quantize_4bit_double(values)),
        "dequantize4bitDouble" => {
            let tensor = quantize_4bit_double(values);
            best(|| dequantize_4bit_double(&tensor))
        }
        "Q4_0 quantize" => best(|| Q4_0::quantize(values)),
        "Q4_0 dequantize" => {
            let tensor = Q4_0::quantize(values);
            best(|| tensor.dequantize())
        }
        "Q8_0 quantize" => best(|| Q8_0::quantize(values)),
        "Q8_0 dequantize" => {
            let tensor = Q8_0::quantize(values);
            best(|| tensor.dequantize())
        }
        "fakeQuantize, symmetric" | "fakeQuantize, asymmetric" => {
            let input = tensor();
            best(|| fake_quantize(&input, 8, !operation.ends_with("asymmetric")))
        }
        "FakeQuantize.forward" => {
            let (fake, input) = (fake(values), tensor());
            best(|| fake.forward(&input))
        }
        "FakeQuantize.backwardClamped" => {
            let (fake, input, gradient) = (fake(values), tensor(), tensor());
            best(|| fake.backward_clamped(&gradient, &input))
        }
        "quantizeTensor, per channel, symmetric" => quantize(PerChannel, Symmetric),
        "quantizeTensor, per channel, asymmetric" => quantize(PerChannel, Asymmetric),
        "quantizeTensor, per tensor" => quantize(PerTensor, Symmetric),
        "quantizeTensor, groups of 128" => quantize(PerGroup(128), Symmetric),
        "dequantizeTensor, symmetric" => dequantize(Symmetric),
        "dequantizeTensor, asymmetric" => dequantize(Asymmetric),
        "calibrateMinMax" => best(|| calibrate_min_max(values, 8, true)),
        "calibratePercentile" => best(|| calibrate_percentile(values, 8, false, 0.1, 99.9)),
        "analyzeError" => {
            let params = calibrate_per_tensor(values, 8, Symmetric);
            best(|| analyze_error(values, &params, 0.01))
        }
        "generateGaussianWeights" => best(|| generate_gaussian_weights(values.len(), 0.0, 1.0, 42)),
        "compareBitWidths" => best(|| compare_bit_widths(values)),
        "analyzeOutlierImpact" => best(|| analyze_outlier_impact(values, 99.9)),
        "runFullBenchmarkSuite" => best(|| run_full_benchmark_suite(values.len())),
        _ => return None,
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1 << 24);
    let operation = arguments.next().unwrap_or_default();
    let values = generate_gaussian_weights(count, 0.0, 1.0, 7);
    match time(&operation, &values) {
        Some(ms) => println!("{{\"ms\":{ms}}}"),
        None => {
            eprintln!("entrenar-bench COUNT OPERATION: unknown operation '{operation}'");
            std::process::exit(2);
        }
    }
}
