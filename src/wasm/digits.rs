//! JavaScript bindings of `bench/digits/`.

use super::build::report;
use super::read::read;
use crate::bench::digits::{self, Digits};
use crate::error::Error;
use wasm_bindgen::prelude::*;

/// See [`digits::AccuracyBenchmark`].
#[wasm_bindgen]
pub struct AccuracyBenchmark(digits::AccuracyBenchmark);

#[wasm_bindgen]
impl AccuracyBenchmark {
    #[wasm_bindgen(constructor)]
    pub fn new(data: &[u8], options: JsValue) -> Result<Self, Error> {
        let options = read("options", options)?;
        digits::AccuracyBenchmark::new(&Digits::from_bytes(data)?, options).map(AccuracyBenchmark)
    }

    #[wasm_bindgen(js_name = originalAccuracy)]
    pub fn original_accuracy(&self) -> f64 {
        self.0.original_accuracy()
    }

    pub fn ptq(&self, bits: u8, method: JsValue) -> Result<JsValue, Error> {
        report(&self.0.ptq(bits, read("method", method)?)?)
    }

    pub fn qat(&self, bits: u8) -> Result<JsValue, Error> {
        report(&self.0.qat(bits)?)
    }

    pub fn report(&self) -> Result<JsValue, Error> {
        report(&self.0.report()?)
    }
}
