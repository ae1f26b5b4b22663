//! JavaScript bindings of `calibrate/`.

use super::arrays::reading;
use super::build::report;
use super::read::read;
use crate::affine::{QuantMode, QuantRange, QuantScheme, SymmetricRule};
use crate::calibrate::{self, CalibrationMethod, CalibratorOptions, MinMax, NonFinite};
use crate::error::Error;
use crate::validation;
use js_sys::Float32Array;
use serde::Deserialize;
use wasm_bindgen::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    bits: u8,
    #[serde(default)]
    mode: QuantMode,
    range: Option<QuantRange>,
    #[serde(default)]
    rule: SymmetricRule,
    #[serde(default)]
    non_finite: NonFinite,
    max_samples: Option<usize>,
    #[serde(default)]
    seed: u64,
}

impl Options {
    fn into_options(self) -> Result<CalibratorOptions, Error> {
        let scheme = QuantScheme::new(self.bits, self.mode)?.with_rule(self.rule);
        let scheme = self.range.map_or(Ok(scheme), |range| scheme.with_range(range))?;
        let usual = CalibratorOptions::new(scheme);
        let max_samples = self.max_samples.unwrap_or(usual.max_samples);
        Ok(CalibratorOptions { non_finite: self.non_finite, max_samples, seed: self.seed, ..usual })
    }
}

/// See [`calibrate::Calibrator`].
#[wasm_bindgen]
pub struct Calibrator(calibrate::Calibrator);

#[wasm_bindgen]
impl Calibrator {
    #[wasm_bindgen(constructor)]
    pub fn new(method: JsValue, options: JsValue) -> Result<Self, Error> {
        let method: CalibrationMethod = read("method", method)?;
        let options: Options = read("options", options)?;
        calibrate::Calibrator::new(method, options.into_options()?).map(Calibrator)
    }

    pub fn observe(&mut self, batch: &[f32]) -> Result<(), Error> {
        self.0.observe(batch)
    }

    pub fn compute(&self) -> Result<JsValue, Error> {
        report(&self.0.compute()?)
    }

    #[wasm_bindgen(js_name = numBatches)]
    pub fn num_batches(&self) -> f64 {
        self.0.num_batches() as f64
    }

    #[wasm_bindgen(js_name = numSkipped)]
    pub fn num_skipped(&self) -> f64 {
        self.0.num_skipped() as f64
    }

    pub fn method(&self) -> Result<JsValue, Error> {
        report(self.0.method())
    }

    pub fn extent(&self) -> Result<JsValue, Error> {
        report::<Option<MinMax>>(&self.0.observed())
    }

    pub fn reset(&mut self) {
        self.0.reset();
    }

    pub fn merge(&mut self, later: &Calibrator) -> Result<(), Error> {
        self.0.merge(&later.0)
    }

    /// Needed because an object cannot be borrowed twice across the boundary.
    #[wasm_bindgen(js_name = mergeSelf)]
    pub fn merge_self(&mut self) -> Result<(), Error> {
        let copy = self.0.clone();
        self.0.merge(&copy)
    }

    #[wasm_bindgen(js_name = toBytes)]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    #[wasm_bindgen(js_name = fromBytes)]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        calibrate::Calibrator::from_bytes(bytes).map(Calibrator)
    }
}

/// See [`calibrate::calibrate_min_max`].
#[wasm_bindgen(js_name = calibrateMinMax)]
pub fn calibrate_min_max(values: &Float32Array, bits: u8, mode: JsValue) -> Result<JsValue, Error> {
    report(&calibrate::calibrator::min_max_tiles(reading(values), bits, read("mode", mode)?)?)
}

/// See [`calibrate::calibrate_percentile`].
#[wasm_bindgen(js_name = calibratePercentile)]
pub fn calibrate_percentile(values: &[f32], bits: u8, mode: JsValue, lower: f64, upper: f64) -> Result<JsValue, Error> {
    report(&calibrate::calibrate_percentile(values, bits, read("mode", mode)?, lower, upper)?)
}

/// See [`calibrate::percentile`].
#[wasm_bindgen]
pub fn percentile(mut values: Vec<f32>, percent: f64) -> Result<Option<f64>, Error> {
    validation::within("percent", percent, 0.0, 100.0)?;
    validation::finite(&values, "value")?;
    Ok(calibrate::percentile(&mut values, percent))
}
