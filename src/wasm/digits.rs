//! JavaScript bindings of `bench/digits/`.

use super::build::{Object, report};
use super::read::read;
use crate::bench::digits::{self, Digits};
use crate::error::Error;
use wasm_bindgen::prelude::*;

/// The data set of the crate as `{ images, labels }`. See [`Digits::bundled`].
#[wasm_bindgen(js_name = bundledDigits)]
pub fn bundled_digits() -> Result<JsValue, Error> {
    let digits = Digits::bundled()?;
    Ok(Object::new().floats("images", digits.images()).bytes("labels", digits.labels()).done())
}

/// See [`digits::AccuracyBenchmark`].
#[wasm_bindgen]
pub struct AccuracyBenchmark(digits::AccuracyBenchmark);

#[wasm_bindgen]
impl AccuracyBenchmark {
    #[wasm_bindgen(constructor)]
    pub fn new(images: Option<Vec<f32>>, labels: Option<Vec<u8>>, options: JsValue) -> Result<Self, Error> {
        let options = read("options", options)?;
        let digits = match (images, labels) {
            (Some(images), Some(labels)) => Digits::new(images, labels)?,
            _ => Digits::bundled()?,
        };
        digits::AccuracyBenchmark::with_digits(&digits, options).map(AccuracyBenchmark)
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
