//! `container/safetensors` and `convert/` for JavaScript: a model of one or several files, listed and planned.

use super::model::{ModelPlan, SharedMatrix, shared_matrix};
use super::object::{Object, count};
use super::plain;
use crate::container::gguf::TensorType;
use crate::container::safetensors::{self, Parsed};
use crate::convert::{self, Folder};
use crate::error::Error;
use crate::recipe::{self, Recipe};
use wasm_bindgen::prelude::*;

/// A safetensors model.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct SafetensorsModel(Folder);

#[wasm_bindgen]
impl SafetensorsModel {
    /// A model without files.
    #[wasm_bindgen(constructor)]
    pub fn new() -> SafetensorsModel {
        SafetensorsModel::default()
    }

    /// Adds the next file by its start: where its tensor data begins, or how many bytes from the start are needed.
    pub fn add(&mut self, prefix: &[u8], #[wasm_bindgen(js_name = fileSize)] file_size: f64) -> Result<JsValue, Error> {
        let size = count(file_size, "fileSize")?;
        Ok(match safetensors::parse(prefix, size)? {
            Parsed::NeedsMore(bytes) => Object::new().number("needed", bytes).done(),
            Parsed::Header(header) => {
                let start = header.data_start;
                self.0.add(*header, size)?;
                Object::new().number("dataStart", start).done()
            }
        })
    }

    /// `[{ name, type, shape, offset, bytes }]`; the first extent is the row length.
    pub fn tensors(&self) -> js_sys::Array {
        let tensors = self.0.tensors().iter();
        tensors
            .map(|tensor| {
                let shape: Vec<u64> = tensor.shape.iter().rev().copied().collect();
                Object::new()
                    .value("name", &tensor.name)
                    .value("type", tensor.kind.name)
                    .numbers("shape", if shape.is_empty() { &[1] } else { &shape })
                    .number("offset", tensor.offset)
                    .number("bytes", tensor.bytes)
                    .done()
            })
            .collect()
    }

    /// `[[key, { type: "str", value }]]`.
    pub fn metadata(&self) -> js_sys::Array {
        let pairs = self.0.metadata().iter();
        pairs
            .map(|(key, value)| {
                let value = Object::new().value("type", "str").value("value", value).done();
                JsValue::from(js_sys::Array::of2(&key.into(), &value))
            })
            .collect()
    }

    /// The plan of its conversion to GGUF: see [`convert::plan`].
    pub fn plan(&self, recipe: JsValue, imatrix: Option<SharedMatrix>) -> Result<ModelPlan, Error> {
        let recipe: Recipe = plain::read("recipe", super::object::given(&recipe))?;
        let imatrix = shared_matrix(imatrix)?;
        Ok(ModelPlan::new(convert::plan(&self.0, &recipe, imatrix.as_deref())?))
    }
}

/// Weights of a tensor of any type as f32.
#[wasm_bindgen]
pub fn widen(bytes: &[u8], from: &str) -> Result<Vec<f32>, Error> {
    recipe::widen(bytes, TensorType::by_name(from)?)
}
