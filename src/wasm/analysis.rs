//! JavaScript bindings of `analysis/`.

use super::affine::params_from_js;
use super::arrays::{fill, reading};
use super::build::report;
use super::read::{read, shape};
use crate::analysis::{self, Histogram, QuantErrorStats, Scheme};
use crate::error::Error;
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

/// See [`analysis::ErrorAccumulator`].
#[wasm_bindgen]
pub struct ErrorAccumulator(analysis::ErrorAccumulator);

#[wasm_bindgen]
impl ErrorAccumulator {
    #[wasm_bindgen(constructor)]
    pub fn new(outlier_threshold: f64) -> Result<Self, Error> {
        analysis::ErrorAccumulator::new(outlier_threshold).map(ErrorAccumulator)
    }

    pub fn add(&mut self, original: &[f32], decoded: &[f32]) -> Result<(), Error> {
        self.0.add(original, decoded)
    }

    pub fn merge(&mut self, other: &ErrorAccumulator) -> Result<(), Error> {
        self.0.merge(&other.0)
    }

    /// Needed because an object cannot be borrowed twice across the boundary.
    #[wasm_bindgen(js_name = mergeSelf)]
    pub fn merge_self(&mut self) -> Result<(), Error> {
        let copy = self.0;
        self.0.merge(&copy)
    }

    pub fn length(&self) -> f64 {
        self.0.len() as f64
    }

    pub fn stats(&self) -> Result<JsValue, Error> {
        report(&self.0.stats()?)
    }
}

/// See [`analysis::compare`].
#[wasm_bindgen(js_name = compareError)]
pub fn compare_error(original: &[f32], decoded: &[f32], outlier_threshold: f64) -> Result<JsValue, Error> {
    report(&analysis::compare(original, decoded, outlier_threshold)?)
}

/// See [`analysis::analyze_error`].
#[wasm_bindgen(js_name = analyzeError)]
pub fn analyze_error(
    original: &Float32Array,
    of_shape: &JsValue,
    of_params: &JsValue,
    outlier_threshold: f64,
) -> Result<JsValue, Error> {
    let (params, shape) = (params_from_js(of_params)?, shape(of_shape)?);
    report(&analysis::analyze::analyze_error_tiles(reading(original), &shape, &params, outlier_threshold)?)
}

/// See [`analysis::analyze_error_format`].
#[wasm_bindgen(js_name = analyzeErrorFormat)]
pub fn analyze_error_format(
    original: &[f32],
    format: &str,
    row_length: usize,
    importance: Option<Box<[f32]>>,
    outlier_threshold: f64,
) -> Result<JsValue, Error> {
    report(&analysis::analyze_error_format(original, format, row_length, importance.as_deref(), outlier_threshold)?)
}

/// See [`analysis::analyze_error_scheme`].
#[wasm_bindgen(js_name = analyzeErrorScheme)]
pub fn analyze_error_scheme(
    original: &[f32],
    of_shape: &JsValue,
    scheme: JsValue,
    outlier_threshold: f64,
) -> Result<JsValue, Error> {
    let scheme: Scheme = read("scheme", scheme)?;
    report(&analysis::analyze_error_scheme(original, &shape(of_shape)?, &scheme, outlier_threshold)?)
}

/// See [`QuantErrorStats::rmse`].
#[wasm_bindgen]
pub fn rmse(mse: f64) -> f64 {
    analysis::stats::rmse(mse)
}

/// See [`analysis::WeightError`]; `tensors` has the number of weights and the error of each, NaN if that is unknown.
#[wasm_bindgen(js_name = weightError)]
pub fn weight_error(tensors: &[f64]) -> Option<f64> {
    let mut error = analysis::WeightError::default();
    let (pairs, _) = tensors.as_chunks();
    pairs.iter().for_each(|[weights, relative]| error.add(*weights, (!relative.is_nan()).then_some(*relative)));
    error.value()
}

/// The dequantized values of a tensor. See [`Scheme::encode`].
#[wasm_bindgen(js_name = roundTripInto)]
pub fn round_trip_into(
    original: &[f32],
    of_shape: &JsValue,
    scheme: JsValue,
    importance: Option<Box<[f32]>>,
    out: &Float32Array,
) -> Result<(), Error> {
    let scheme: Scheme = read("scheme", scheme)?;
    fill("the output", out, original.len(), |out| {
        scheme.encode(original, &shape(of_shape)?, importance.as_deref())?.decode_into(out)
    })
}

/// See [`analysis::theoretical_sqnr`].
#[wasm_bindgen(js_name = theoreticalSqnr)]
pub fn theoretical_sqnr(bits: u8, signal: JsValue) -> Result<f64, Error> {
    analysis::theoretical_sqnr(bits, read("signal", signal)?)
}

/// See [`analysis::theoretical_max_error`].
#[wasm_bindgen(js_name = theoreticalMaxError)]
pub fn theoretical_max_error(of_params: &JsValue) -> Result<f64, Error> {
    analysis::theoretical_max_error(&params_from_js(of_params)?)
}

/// See [`analysis::error_within_bounds`].
#[wasm_bindgen(js_name = errorWithinBounds)]
pub fn error_within_bounds(stats: JsValue, of_params: &JsValue, tolerance: f64) -> Result<bool, Error> {
    let stats: QuantErrorStats = read("stats", stats)?;
    analysis::error_within_bounds(&stats, &params_from_js(of_params)?, tolerance)
}

/// See [`analysis::worst_error_in_steps`].
#[wasm_bindgen(js_name = worstErrorInSteps)]
pub fn worst_error_in_steps(original: &[f32], of_shape: &JsValue, of_params: &JsValue) -> Result<f64, Error> {
    analysis::worst_error_in_steps(original, &shape(of_shape)?, &params_from_js(of_params)?)
}

/// See [`analysis::scale_sensitivity`].
#[wasm_bindgen(js_name = scaleSensitivity)]
pub fn scale_sensitivity(
    values: &[f32],
    of_shape: &JsValue,
    of_params: &JsValue,
    perturbation: f64,
) -> Result<JsValue, Error> {
    report(&analysis::scale_sensitivity(values, &shape(of_shape)?, &params_from_js(of_params)?, perturbation)?)
}

/// See [`analysis::scale_sweep`].
#[wasm_bindgen(js_name = scaleSweep)]
pub fn scale_sweep(values: &[f32], of_shape: &JsValue, of_params: &JsValue, factors: &[f64]) -> Result<JsValue, Error> {
    report(&analysis::scale_sweep(values, &shape(of_shape)?, &params_from_js(of_params)?, factors)?)
}

/// See [`analysis::compare_bit_widths`].
#[wasm_bindgen(js_name = compareBitWidths)]
pub fn compare_bit_widths(values: &Float32Array, mode: JsValue) -> Result<JsValue, Error> {
    report(&analysis::sensitivity::compare_bit_widths_tiles(reading(values), read("mode", mode)?)?)
}

/// See [`analysis::analyze_outlier_impact`].
#[wasm_bindgen(js_name = analyzeOutlierImpact)]
pub fn analyze_outlier_impact(values: &[f32], percentile: f64, bits: u8, mode: JsValue) -> Result<JsValue, Error> {
    report(&analysis::analyze_outlier_impact(values, percentile, bits, read("mode", mode)?)?)
}

/// See [`analysis::find_outliers`].
#[wasm_bindgen(js_name = findOutliers)]
pub fn find_outliers(values: &[f32], sigmas: f64, limit: usize) -> Result<JsValue, Error> {
    report(&analysis::find_outliers(values, sigmas, limit)?)
}

/// See [`analysis::worst_errors`].
#[wasm_bindgen(js_name = worstErrors)]
pub fn worst_errors(original: &[f32], decoded: &[f32], limit: usize) -> Result<JsValue, Error> {
    report(&analysis::worst_errors(original, decoded, limit)?)
}

/// See [`Histogram::of`].
#[wasm_bindgen]
pub fn histogram(values: &[f32], bins: usize) -> Result<JsValue, Error> {
    report(&Histogram::of(values, bins)?)
}

/// See [`analysis::error_histogram`].
#[wasm_bindgen(js_name = errorHistogram)]
pub fn error_histogram(original: &[f32], decoded: &[f32], bins: usize) -> Result<JsValue, Error> {
    report(&analysis::error_histogram(original, decoded, bins)?)
}
