//! JavaScript bindings of `job/analysis/`.

use super::build::{Columns, Object, figures_of, report};
use super::model::{SharedMatrix, shared_matrix};
use super::read::count;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error};
use crate::job::{Analysis, AnalysisOptions, AnalyzedTensor, DEFAULT_SAMPLE, Histograms, Measured, NextStep};
use js_sys::Array;
use wasm_bindgen::prelude::*;

/// Reads tensors: names and types, and for each the length of its shape, the shape, offset, bytes and rows per head.
fn tensors_of(texts: Vec<String>, numbers: &[f64]) -> Result<Vec<AnalyzedTensor>, Error> {
    let mut numbers = numbers.iter();
    let mut next = || count("numbers", numbers.next().copied().unwrap_or(f64::NAN));
    let (names, []) = texts.as_chunks() else {
        return Err(Error::new(Code::LENGTH, "a tensor has a name and a type"));
    };
    let tensor = |[name, from]: &[String; 2]| {
        let (name, from) = (name.as_str().into(), TensorType::by_name(from)?);
        let shape = (0..next()?).map(|_| next()).collect::<Result<_, Error>>()?;
        Ok(AnalyzedTensor { name, from, shape, offset: next()?, bytes: next()?, permuted_head_rows: next()? })
    };
    names.iter().map(tensor).collect()
}

/// The number of weights to look at: the default without a number, and all for infinity.
fn sample_of(sample: Option<f64>) -> Result<Option<u64>, Error> {
    match sample {
        None => Ok(Some(DEFAULT_SAMPLE)),
        Some(f64::INFINITY) => Ok(None),
        Some(sample) => count("sample", sample).map(Some),
    }
}

/// The next step, `{ id, ranges, measure }`; `null` to wait for others, `undefined` at the end.
fn next_to_js(next: NextStep) -> JsValue {
    let step = match next {
        NextStep::Step(step) => step,
        NextStep::Wait => return JsValue::NULL,
        NextStep::Finished => return JsValue::UNDEFINED,
    };
    let range =
        |(offset, length): &(u64, u64)| Object::new().number("offset", *offset).number("length", *length).done();
    let ranges: Array = step.ranges.iter().map(range).collect();
    Object::new().number("id", step.id).value("ranges", ranges).bytes("measure", &step.measure.to_bytes()).done()
}

/// See [`Analysis`].
#[wasm_bindgen(js_name = ModelAnalysisJob)]
pub struct ModelAnalysis(Analysis);

#[wasm_bindgen(js_class = ModelAnalysisJob)]
impl ModelAnalysis {
    /// See [`Analysis::new`]; `sample` is a number, infinity for all, or undefined for the default.
    #[wasm_bindgen(constructor)]
    pub fn new(
        formats: Option<Vec<String>>,
        sample: Option<f64>,
        tensors: Option<Vec<String>>,
        imatrix: Option<SharedMatrix>,
    ) -> Result<ModelAnalysis, Error> {
        let (sample, importance) = (sample_of(sample)?, shared_matrix(imatrix)?);
        let options = AnalysisOptions { formats, sample, tensors, importance };
        Analysis::new(options).map(ModelAnalysis)
    }

    /// See [`Analysis::add`] and [`tensors_of`].
    pub fn add(&mut self, texts: Vec<String>, numbers: &[f64]) -> Result<(), Error> {
        self.0.add(tensors_of(texts, numbers)?);
        Ok(())
    }

    /// See [`Analysis::check_names`].
    #[wasm_bindgen(js_name = checkNames)]
    pub fn check_names(&self) -> Result<(), Error> {
        self.0.check_names()
    }

    /// See [`Analysis::total`].
    #[wasm_bindgen(getter)]
    pub fn total(&self) -> usize {
        self.0.total()
    }

    /// See [`next_to_js`].
    pub fn next(&mut self) -> Result<JsValue, Error> {
        self.0.next().map(next_to_js)
    }

    /// See [`Analysis::complete`]; returns `{ index, tensor, finished }` if the step was a stratum.
    pub fn complete(&mut self, id: f64, found: &[u8]) -> Result<JsValue, Error> {
        let Some((index, finished)) = self.0.complete(id as u64, Measured::from_bytes(found)?)? else {
            return Ok(JsValue::UNDEFINED);
        };
        let name = self.0.name(index).unwrap_or_default();
        let object = Object::new().number("index", index as u64).value("tensor", name);
        Ok(object.value("finished", finished).done())
    }

    /// The number of tensors.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.0.tensor_count()
    }

    /// Tensors `from` up to `to`, as columns: name, type; shape, weights, bytes, sampled, number of formats. Then for each
    /// format its name and whether it is refused; the code and the message, or its bytes, bits per weight, sampled weights
    /// and figures.
    pub fn tensors(&self, from: usize, to: usize) -> Array {
        let mut columns = Columns::default();
        for found in (from..to).map_while(|index| self.0.tensor(index)) {
            let tensor = found.tensor;
            columns.text(&tensor.name);
            columns.shared(tensor.from.name);
            columns.list(&tensor.shape);
            columns.numbers([tensor.weights(), tensor.bytes, found.sampled, found.formats.len() as u64]);
            for format in &found.formats {
                columns.shared(format.codec.name);
                columns.numbers([format.result.is_err().into()]);
                match &format.result {
                    Err(refusal) => {
                        columns.shared(&refusal.code);
                        columns.text(&refusal.message);
                    }
                    Ok(errors) => {
                        columns.floats(&[errors.bytes, format.codec.bits_per_weight(), errors.sampled]);
                        columns.floats(&figures_of(&errors.figures));
                    }
                }
            }
        }
        columns.done()
    }
}

/// See [`Histograms`].
#[wasm_bindgen(js_name = HistogramsJob)]
pub struct HistogramsJob(Histograms);

#[wasm_bindgen(js_class = HistogramsJob)]
impl HistogramsJob {
    /// See [`Histograms::new`]; for `sample` see [`ModelAnalysis::new`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        texts: Vec<String>,
        numbers: &[f64],
        format: Option<String>,
        bins: usize,
        sample: Option<f64>,
        imatrix: Option<SharedMatrix>,
    ) -> Result<HistogramsJob, Error> {
        let tensor =
            tensors_of(texts, numbers)?.pop().ok_or_else(|| Error::new(Code::NO_DATA, "there is no tensor"))?;
        Histograms::new(tensor, format, bins, sample_of(sample)?, shared_matrix(imatrix)?).map(HistogramsJob)
    }

    /// See [`next_to_js`].
    pub fn next(&mut self) -> Result<JsValue, Error> {
        self.0.next().map(next_to_js)
    }

    /// See [`Histograms::complete`].
    pub fn complete(&mut self, _id: f64, found: &[u8]) -> Result<(), Error> {
        self.0.complete(Measured::from_bytes(found)?)
    }

    /// See [`Histograms::finish`]; returns `{ sampled, weights, errors }`.
    pub fn finish(self) -> Result<JsValue, Error> {
        let found = self.0.finish()?;
        let errors = found.errors.as_ref().map_or(Ok(JsValue::UNDEFINED), report)?;
        let object = Object::new().number("sampled", found.sampled).report("weights", &found.weights)?;
        Ok(object.value("errors", errors).done())
    }
}
