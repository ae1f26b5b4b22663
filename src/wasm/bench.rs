//! JavaScript bindings of `bench/`.

use super::arrays::{TypedArray as _, fill};
use super::build::{Object, report};
use super::read::{read, shape};
use crate::analysis::Scheme;
use crate::bench::{self, QuantBenchmarkResult};
use crate::error::Error;
use js_sys::{Array, Float32Array, Function};
use wasm_bindgen::prelude::*;

fn seed(seed: Option<f64>) -> Option<u64> {
    seed.map(|seed| seed as u64)
}

/// See [`bench::generate_gaussian_weights`].
#[wasm_bindgen(js_name = generateGaussianWeights)]
pub fn generate_gaussian_weights(n: usize, mean: f32, std_dev: f32, with_seed: Option<f64>) -> Result<Vec<f32>, Error> {
    bench::generate_gaussian_weights(n, mean, std_dev, seed(with_seed))
}

/// See [`bench::generate_uniform_weights`].
#[wasm_bindgen(js_name = generateUniformWeights)]
pub fn generate_uniform_weights(n: usize, min: f32, max: f32, with_seed: Option<f64>) -> Result<Vec<f32>, Error> {
    bench::generate_uniform_weights(n, min, max, seed(with_seed))
}

/// See [`bench::generate_weights_with_outliers`].
#[wasm_bindgen(js_name = generateWeightsWithOutliers)]
pub fn generate_weights_with_outliers(
    n: usize,
    outlier_ratio: f64,
    outlier_magnitude: f32,
    with_seed: Option<f64>,
) -> Result<Vec<f32>, Error> {
    bench::generate_weights_with_outliers(n, outlier_ratio, outlier_magnitude, seed(with_seed))
}

/// See [`bench::generate_multi_channel_weights`].
#[wasm_bindgen(js_name = generateMultiChannelWeights)]
pub fn generate_multi_channel_weights(
    num_channels: usize,
    features_per_channel: usize,
    scale_variance: f32,
    with_seed: Option<f64>,
) -> Result<Vec<f32>, Error> {
    bench::generate_multi_channel_weights(num_channels, features_per_channel, scale_variance, seed(with_seed))
}

/// See [`bench::generate_gaussian_weights_into`].
#[wasm_bindgen(js_name = generateGaussianWeightsInto)]
pub fn generate_gaussian_weights_into(
    out: &Float32Array,
    mean: f32,
    std_dev: f32,
    with_seed: Option<f64>,
) -> Result<(), Error> {
    fill("out", out, out.len(), |out| bench::generate_gaussian_weights_into(out, mean, std_dev, seed(with_seed)))
}

/// See [`bench::generate_uniform_weights_into`].
#[wasm_bindgen(js_name = generateUniformWeightsInto)]
pub fn generate_uniform_weights_into(
    out: &Float32Array,
    min: f32,
    max: f32,
    with_seed: Option<f64>,
) -> Result<(), Error> {
    fill("out", out, out.len(), |out| bench::generate_uniform_weights_into(out, min, max, seed(with_seed)))
}

/// See [`bench::generate_weights_with_outliers_into`].
#[wasm_bindgen(js_name = generateWeightsWithOutliersInto)]
pub fn generate_weights_with_outliers_into(
    out: &Float32Array,
    outlier_ratio: f64,
    outlier_magnitude: f32,
    with_seed: Option<f64>,
) -> Result<(), Error> {
    fill("out", out, out.len(), |out| {
        bench::generate_weights_with_outliers_into(out, outlier_ratio, outlier_magnitude, seed(with_seed))
    })
}

/// See [`bench::generate_multi_channel_weights_into`].
#[wasm_bindgen(js_name = generateMultiChannelWeightsInto)]
pub fn generate_multi_channel_weights_into(
    out: &Float32Array,
    num_channels: usize,
    scale_variance: f32,
    with_seed: Option<f64>,
) -> Result<(), Error> {
    fill("out", out, out.len(), |out| {
        bench::generate_multi_channel_weights_into(out, num_channels, scale_variance, seed(with_seed))
    })
}

fn result_to_js(result: &QuantBenchmarkResult) -> Result<JsValue, Error> {
    Ok(Object::of(result)?.value("qualityScore", result.quality_score()).done())
}

/// Wraps a JavaScript clock; if it fails, time stands still.
fn clock(now: &Function) -> impl FnMut() -> f64 + '_ {
    || now.call0(&JsValue::UNDEFINED).ok().and_then(|ms| ms.as_f64()).unwrap_or(0.0)
}

/// See [`bench::run_benchmark`].
#[wasm_bindgen(js_name = runBenchmark)]
pub fn run_benchmark(
    name: &str,
    values: &[f32],
    of_shape: &JsValue,
    scheme: JsValue,
    now: &Function,
) -> Result<JsValue, Error> {
    let scheme: Scheme = read("scheme", scheme)?;
    result_to_js(&bench::run_benchmark(name, values, &shape(of_shape)?, &scheme, &mut clock(now))?)
}

/// See [`bench::run_full_benchmark_suite`].
#[wasm_bindgen(js_name = runFullBenchmarkSuite)]
pub fn run_full_benchmark_suite(size: usize, with_seed: Option<f64>, now: &Function) -> Result<Array, Error> {
    let suite = bench::run_full_benchmark_suite(size, seed(with_seed), &mut clock(now))?;
    suite.results.iter().map(result_to_js).collect()
}

/// See [`bench::compare_bit_width_degradation`].
#[wasm_bindgen(js_name = compareBitWidthDegradation)]
pub fn compare_bit_width_degradation(values: &[f32]) -> Result<JsValue, Error> {
    report(&bench::compare_bit_width_degradation(values)?)
}

/// See [`bench::accuracy_retention`].
#[wasm_bindgen(js_name = accuracyRetention)]
pub fn accuracy_retention(original_metric: f64, quantized_metric: f64) -> Result<f64, Error> {
    bench::accuracy_retention(original_metric, quantized_metric)
}
