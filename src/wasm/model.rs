//! `container/` and `recipe/` for JavaScript: open a model, plan its conversion, convert one tile.

use super::object::{Object, count, given, integer};
use crate::analysis::ErrorSums;
use crate::container::gguf::{self, Header, Parsed, Value};
use crate::container::imatrix;
use crate::error::{Code, Error};
use crate::recipe::{self, Plan, Recipe};
use js_sys::Float64Array;
use serde::Serialize;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Arrays in metadata are cut to so many elements: vocabularies have hundreds of thousands.
const HEAD: usize = 64;

/// The header of a GGUF file.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelHeader(Header);

#[wasm_bindgen]
impl ModelHeader {
    /// Parses the start of a file: a header, or how many bytes from the start are needed to go on.
    #[wasm_bindgen(unchecked_return_type = "ModelHeader | number")]
    pub fn parse(prefix: &[u8], #[wasm_bindgen(js_name = fileSize)] file_size: f64) -> Result<JsValue, Error> {
        Ok(match gguf::parse(prefix, count(file_size, "fileSize")?)? {
            Parsed::Header(header) => ModelHeader(*header).into(),
            Parsed::NeedsMore(bytes) => JsValue::from(bytes as f64),
        })
    }

    /// See [`gguf::join`]. The headers are used up.
    pub fn join(shards: Vec<ModelHeader>) -> Result<ModelHeader, Error> {
        Ok(ModelHeader(gguf::join(shards.into_iter().map(|shard| shard.0).collect())?))
    }

    /// Which shard this file says it is, from 0.
    #[wasm_bindgen(getter, js_name = splitNumber)]
    pub fn split_number(&self) -> f64 {
        self.0.split_number() as f64
    }

    /// How many shards it says the model has; 1 if it is whole.
    #[wasm_bindgen(getter, js_name = splitCount)]
    pub fn split_count(&self) -> f64 {
        self.0.split_count() as f64
    }

    /// `[{ name, type, shape, offset, bytes }]` in file order; `offset` counts from the start of the file.
    pub fn tensors(&self) -> js_sys::Array {
        let tensors = self.0.tensors().iter();
        tensors
            .map(|tensor| {
                Object::new()
                    .value("name", &tensor.name)
                    .value("type", tensor.kind.name)
                    .numbers("shape", &tensor.shape)
                    .number("offset", tensor.offset)
                    .number("bytes", tensor.bytes)
                    .done()
            })
            .collect()
    }

    /// `[[key, { type, value }]]` in file order; an array of more than 64 elements is `{ type, length, head }`.
    pub fn metadata(&self) -> js_sys::Array {
        let pairs = self.0.metadata();
        pairs.map(|pair| JsValue::from(js_sys::Array::of2(&pair.key.into(), &described(&pair.value())))).collect()
    }

    /// 2 or 3.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// To what multiple tensors are placed.
    #[wasm_bindgen(getter)]
    pub fn alignment(&self) -> u32 {
        self.0.alignment()
    }

    /// Where tensor data begins.
    #[wasm_bindgen(getter, js_name = headerBytes)]
    pub fn header_bytes(&self) -> f64 {
        self.0.data_start() as f64
    }

    /// See [`recipe::plan`].
    pub fn plan(&self, recipe: JsValue, imatrix: Option<SharedMatrix>) -> Result<ModelPlan, Error> {
        let recipe: Recipe = serde_wasm_bindgen::from_value(given(&recipe))
            .map_err(|error| Error::new(Code::ARGUMENT, format!("the recipe is not understood: {error}")))?;
        Ok(ModelPlan(recipe::plan(&self.0, &recipe, shared_matrix(imatrix)?.as_deref())?))
    }
}

/// `{ type, value }` of a metadata value, `{ type, length, head }` of a long array.
fn described(value: &Value) -> JsValue {
    let object = Object::new();
    match value {
        Value::Array(array) => {
            let object = object.value("type", format!("{}[]", array.element.name));
            let head: js_sys::Array = array.iter().take(HEAD).map(|item| plain(&item)).collect();
            if array.len > HEAD as u64 {
                object.number("length", array.len).value("head", head)
            } else {
                object.value("value", head)
            }
        }
        _ => object.value("type", value.kind().name).value("value", plain(value)),
    }
    .done()
}

fn plain(value: &Value) -> JsValue {
    match *value {
        Value::U8(x) => integer(x),
        Value::I8(x) => integer(x),
        Value::U16(x) => integer(x),
        Value::I16(x) => integer(x),
        Value::U32(x) => integer(x),
        Value::I32(x) => integer(x),
        Value::U64(x) => integer(x),
        Value::I64(x) => integer(x),
        Value::F32(x) => x.into(),
        Value::F64(x) => x.into(),
        Value::Bool(x) => x.into(),
        Value::String(text) => String::from_utf8_lossy(text).as_ref().into(),
        Value::Array(_) => described(value),
    }
}

/// An importance matrix, of the legacy form or of GGUF.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ImportanceMatrix(Rc<imatrix::ImportanceMatrix>);

#[wasm_bindgen]
extern "C" {
    /// An [`ImportanceMatrix`] that stays JavaScript's: an exported class cannot be an optional argument by reference.
    #[wasm_bindgen(typescript_type = "ImportanceMatrix")]
    pub type SharedMatrix;

    #[wasm_bindgen(method, catch)]
    fn share(this: &SharedMatrix) -> Result<ImportanceMatrix, JsValue>;
}

#[wasm_bindgen]
impl ImportanceMatrix {
    /// See [`imatrix::ImportanceMatrix::parse`].
    pub fn parse(bytes: &[u8]) -> Result<ImportanceMatrix, Error> {
        Ok(ImportanceMatrix(Rc::new(imatrix::ImportanceMatrix::parse(bytes)?)))
    }

    /// Another handle on the same matrix, to be freed on its own.
    pub fn share(&self) -> ImportanceMatrix {
        ImportanceMatrix(Rc::clone(&self.0))
    }

    /// `[{ name, length, counts }]`, by name.
    pub fn entries(&self) -> js_sys::Array {
        let entries = self.0.entries();
        entries
            .map(|(name, entry)| {
                let counts: js_sys::Array = entry.counts.iter().map(|count| integer(*count)).collect();
                let object = Object::new().value("name", name).number("length", entry.values.len() as u64);
                object.value("counts", counts).done()
            })
            .collect()
    }

    /// The importance of a tensor's columns.
    pub fn get(&self, name: &str) -> Option<Vec<f32>> {
        self.0.get(name).map(|entry| entry.values.clone())
    }
}

/// The matrix of an optional argument.
pub(super) fn shared_matrix(imatrix: Option<SharedMatrix>) -> Result<Option<Rc<imatrix::ImportanceMatrix>>, Error> {
    let shared = imatrix.map(|imatrix| imatrix.share()).transpose();
    let shared = shared.map_err(|_| Error::new(Code::ARGUMENT, "imatrix must be an ImportanceMatrix"))?;
    Ok(shared.map(|matrix| Rc::clone(&matrix.0)))
}

/// What becomes of every tensor of a model, and the header of the file they go to.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelPlan(Plan);

impl ModelPlan {
    /// The plan for JavaScript.
    pub(super) fn new(plan: Plan) -> Self {
        ModelPlan(plan)
    }
}

#[wasm_bindgen]
impl ModelPlan {
    /// Bytes of the whole output file.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.0.size as f64
    }

    /// The complete final header, padded to where tensor data begins.
    pub fn header(&self) -> Vec<u8> {
        self.0.header.clone()
    }

    /// `[{ header, offset, size }]`: the files after the first, where the output is split.
    pub fn further(&self) -> js_sys::Array {
        let shards = self.0.further.iter();
        shards
            .map(|shard| {
                let header = js_sys::Uint8Array::from(shard.header.as_slice());
                let object = Object::new().value("header", header);
                object.number("offset", shard.offset).number("size", shard.size).done()
            })
            .collect()
    }

    /// The tensors in output order; `targetOffset` counts from the start of the file.
    pub fn tensors(&self) -> js_sys::Array {
        let tensors = self.0.tensors.iter();
        tensors
            .map(|tensor| {
                Object::new()
                    .value("name", &tensor.name)
                    .value("sourceName", &tensor.source_name)
                    .value("from", tensor.from.name)
                    .value("to", tensor.to.name)
                    .value("why", &tensor.why)
                    .numbers("shape", &tensor.shape)
                    .number("rows", tensor.rows)
                    .number("rowLength", tensor.row_length)
                    .number("headRows", tensor.head_rows)
                    .number("sourceOffset", tensor.source_offset)
                    .number("sourceBytes", tensor.source_bytes)
                    .number("targetOffset", tensor.place.offset)
                    .number("targetBytes", tensor.place.bytes)
                    .number("paddedBytes", tensor.place.padded)
                    .value("needsImportance", tensor.needs_importance)
                    .value("hasImportance", tensor.has_importance)
                    .done()
            })
            .collect()
    }

    /// The importance of a tensor's columns, for every expert (`shape[2]`) in turn.
    pub fn importance(&self, index: usize) -> Option<Vec<f32>> {
        self.0.importance(index).map(<[f32]>::to_vec)
    }
}

/// See [`recipe::encode_measured`]; `errors` gets the eight [sums](ErrorSums) of what it did to the weights.
#[wasm_bindgen(js_name = encodeTile)]
pub fn encode_tile(
    bytes: &[u8],
    from: &str,
    to: &str,
    #[wasm_bindgen(js_name = rowLength)] row_length: usize,
    importance: Option<Box<[f32]>>,
    #[wasm_bindgen(js_name = headRows)] head_rows: usize,
    errors: Option<Float64Array>,
) -> Result<Vec<u8>, Error> {
    let mut sums = errors.as_ref().map(|_| ErrorSums::default());
    let encoded =
        recipe::encode_measured(bytes, from, to, row_length, importance.as_deref(), head_rows, sums.as_mut())?;
    if let (Some(errors), Some(sums)) = (errors, sums) {
        errors.copy_from(&sums.to_array());
    }
    Ok(encoded)
}

/// The eight [sums](ErrorSums) of a difference. See [`recipe::compare_rows`].
#[wasm_bindgen(js_name = compareRows)]
pub fn compare_rows(bytes: &[u8], from: &str, other: &[u8], other_type: &str) -> Result<Vec<f64>, Error> {
    recipe::compare_rows(bytes, from, other, other_type).map(|sums| sums.to_array().to_vec())
}

/// The eight [sums](ErrorSums) of each format, or its error. See [`recipe::analyze_rows`].
#[wasm_bindgen(js_name = analyzeRows)]
pub fn analyze_rows(
    bytes: &[u8],
    from: &str,
    #[wasm_bindgen(js_name = rowLength)] row_length: usize,
    formats: Vec<String>,
    importance: Option<Box<[f32]>>,
) -> Result<js_sys::Array, Error> {
    let results = recipe::analyze_rows(bytes, from, row_length, &formats, importance.as_deref())?;
    let value = |result: Result<ErrorSums, Error>| match result {
        Ok(sums) => Float64Array::from(&sums.to_array()[..]).into(),
        Err(error) => JsValue::from(error),
    };
    Ok(results.into_iter().map(value).collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PresetInfo {
    name: &'static str,
    ftype: u32,
    description: &'static str,
    needs_importance: bool,
}

/// Every preset: `[{ name, ftype, description, needsImportance }]`.
#[wasm_bindgen]
pub fn presets() -> Result<JsValue, JsValue> {
    let table: Vec<PresetInfo> = recipe::presets()
        .map(|preset| PresetInfo {
            name: preset.name,
            ftype: preset.ftype,
            description: preset.description,
            needs_importance: preset.needs_importance(),
        })
        .collect();
    Ok(serde_wasm_bindgen::to_value(&table)?)
}
