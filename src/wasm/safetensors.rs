//! JavaScript bindings of `container/safetensors` and `convert/`: a model of one or several files, listed and planned.

use super::columns::Columns;
use super::model::{ModelPlan, SharedMatrix, named, shared_matrix};
use super::object::{Object, count};
use super::plain;
use crate::container::gguf::{Header, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::container::safetensors::{self, Parsed};
use crate::convert::{self, Folder, ImportSpec};
use crate::error::Error;
use crate::recipe::{self, Plan, Recipe};
use std::cell::RefCell;
use std::collections::HashMap;
use wasm_bindgen::prelude::*;

/// A safetensors model.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct SafetensorsModel {
    folder: Folder,
    /// The model as GGUF for the last plan, because most plans need the same.
    made: RefCell<Option<(ImportSpec, Header)>>,
}

#[wasm_bindgen]
impl SafetensorsModel {
    /// Creates a model without files.
    #[wasm_bindgen(constructor)]
    pub fn new() -> SafetensorsModel {
        SafetensorsModel::default()
    }

    /// Adds the next file from its first bytes; returns where its tensor data begins, or the number of bytes from the
    /// start that are needed. For `shard` see [`Folder::add_shard`].
    pub fn add(
        &mut self,
        prefix: &[u8],
        #[wasm_bindgen(js_name = fileSize)] file_size: f64,
        shard: bool,
    ) -> Result<JsValue, Error> {
        let size = count(file_size, "fileSize")?;
        Ok(match safetensors::parse(prefix, size)? {
            Parsed::NeedsMore(bytes) => Object::new().number("needed", bytes).done(),
            Parsed::Header(header) => {
                let start = header.data_start;
                self.made.take();
                match shard {
                    true => self.folder.add_shard(*header, size),
                    false => self.folder.add(*header, size)?,
                }
                Object::new().number("dataStart", start).done()
            }
        })
    }

    /// Adds a file other than the tensors, such as `config.json`.
    #[wasm_bindgen(js_name = addFile)]
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.made.take();
        self.folder.add_file(name, bytes);
    }

    /// See [`Folder::set_name`].
    #[wasm_bindgen(js_name = setName)]
    pub fn set_name(&mut self, name: &str) {
        self.made.take();
        self.folder.set_name(name);
    }

    /// See [`Folder::generated`].
    pub fn generated(&self) -> Vec<u8> {
        self.folder.generated()
    }

    /// See [`Folder::repeated`]; offset and size of each range, as one flat array.
    pub fn repeated(&self) -> Vec<f64> {
        self.folder.repeated().into_iter().flat_map(|(offset, bytes)| [offset as f64, bytes as f64]).collect()
    }

    /// See [`Folder::refuse_codes`].
    #[wasm_bindgen(js_name = refuseCodes)]
    pub fn refuse_codes(&self) -> Result<(), Error> {
        self.folder.refuse_codes()
    }

    /// See [`Folder::check_index`].
    #[wasm_bindgen(js_name = checkIndex)]
    pub fn check_index(&self, text: &[u8]) -> Result<(), Error> {
        self.folder.check_index(&safetensors::parse_index(text)?)
    }

    /// The number of tensors.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.folder.tensors().len()
    }

    /// Tensors `from` up to `to`, as columns: name, type; shape, offset, size in bytes, number of dimensions. The row
    /// length comes first, and the shape of a scalar is `[1]`.
    pub fn tensors(&self, from: usize, to: usize) -> js_sys::Array {
        let mut columns = Columns::default();
        for tensor in self.folder.tensors().get(from..to).unwrap_or_default() {
            let shape: Vec<u64> = tensor.shape.iter().rev().copied().collect();
            columns.text(&tensor.name);
            columns.shared(tensor.dtype.name);
            columns.list(if shape.is_empty() { &[1] } else { &shape });
            columns.numbers([tensor.offset, tensor.bytes, tensor.shape.len() as u64]);
        }
        columns.done()
    }

    /// Like [`ModelHeader`](super::model::ModelHeader)'s: `[key, "string", undefined, value]` per entry, as one flat
    /// array.
    pub fn metadata(&self) -> js_sys::Array {
        let pairs = self.folder.metadata().iter();
        pairs.flat_map(|(key, value)| [key.into(), "string".into(), JsValue::UNDEFINED, value.into()]).collect()
    }

    /// Plans the conversion to GGUF, see [`ImportSpec`], or to one of bitsandbytes' formats; `imatrix_name` is the name of
    /// the importance matrix if the recipe does not state one.
    pub fn plan(
        &self,
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
        #[wasm_bindgen(js_name = imatrixName)] imatrix_name: Option<String>,
    ) -> Result<ModelPlan, Error> {
        let recipe: Recipe = plain::read("recipe", super::object::given(&recipe))?;
        let imatrix = shared_matrix(imatrix)?;
        let plan = self.plan_of(&named(&recipe, imatrix_name), imatrix.as_deref())?;
        Ok(ModelPlan { plan, recipe })
    }
}

impl SafetensorsModel {
    /// The plan of a recipe.
    pub(super) fn plan_of(&self, recipe: &Recipe, imatrix: Option<&ImportanceMatrix>) -> Result<Plan, Error> {
        if recipe::bnb_type(recipe).is_some() {
            return convert::plan(&self.folder, recipe, imatrix);
        }
        let source = ImportSpec::from_recipe(recipe)?;
        let made = self.made.take().filter(|(known, _)| *known == source);
        let header = made.map_or_else(|| source.header(&self.folder), |(_, header)| Ok(header))?;
        let plan = source.plan(&header, recipe, imatrix);
        self.made.replace(Some((source, header)));
        plan
    }

    /// The names of the tensors by where they begin.
    pub(super) fn names(&self) -> HashMap<u64, String> {
        self.folder.tensors().iter().map(|tensor| (tensor.offset, tensor.name.to_string())).collect()
    }
}

/// The file names in an index (`model.safetensors.index.json`), without duplicates.
#[wasm_bindgen(js_name = indexFiles)]
pub fn index_files(text: &[u8]) -> Result<js_sys::Array, Error> {
    Ok(safetensors::parse_index(text)?.files.into_iter().map(JsValue::from).collect())
}

/// Decodes the weights of a tensor of any dtype to f32.
#[wasm_bindgen(js_name = decodeToF32)]
pub fn decode_to_f32(bytes: &[u8], from: &str) -> Result<Vec<f32>, Error> {
    recipe::decode_to_f32(bytes, TensorType::by_name(from)?)
}
