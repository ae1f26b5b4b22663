//! `container/` and `recipe/` for JavaScript: open a model, plan its conversion, convert one tile.

use super::columns::Columns;
use super::object::{Object, count, given, integer};
use crate::analysis::ErrorSums;
use crate::container::gguf::{self, Cursor, Header, Parsed, TensorType};
use crate::container::imatrix;
use crate::error::{Code, Error};
use crate::format::{self, Codec};
use crate::recipe::{self, Plan, Recipe, Tile};
use js_sys::Float64Array;
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The header of a GGUF file.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelHeader {
    pub(super) header: Header,
    /// Where in the array of which pair reading has got to: who reads on need not begin again.
    pub(super) cursor: Cell<Option<(usize, Cursor)>>,
}

impl From<Header> for ModelHeader {
    fn from(header: Header) -> Self {
        ModelHeader { header, cursor: Cell::new(None) }
    }
}

#[wasm_bindgen]
impl ModelHeader {
    /// Parses the start of a file: a header, or how many bytes from the start are needed to go on.
    #[wasm_bindgen(unchecked_return_type = "ModelHeader | number")]
    pub fn parse(prefix: &[u8], #[wasm_bindgen(js_name = fileSize)] file_size: f64) -> Result<JsValue, Error> {
        Ok(match gguf::parse(prefix, count(file_size, "fileSize")?)? {
            Parsed::Header(header) => ModelHeader::from(*header).into(),
            Parsed::NeedsMore(bytes) => JsValue::from(bytes as f64),
        })
    }

    /// See [`gguf::join`]. The headers are used up.
    pub fn join(shards: Vec<ModelHeader>) -> Result<ModelHeader, Error> {
        Ok(gguf::join(shards.into_iter().map(|shard| shard.header).collect())?.into())
    }

    /// Which shard this file says it is, from 0.
    #[wasm_bindgen(getter, js_name = splitNumber)]
    pub fn split_number(&self) -> f64 {
        self.header.split_number() as f64
    }

    /// How many shards it says the model has; 1 if it is whole.
    #[wasm_bindgen(getter, js_name = splitCount)]
    pub fn split_count(&self) -> f64 {
        self.header.split_count() as f64
    }

    /// How many tensors there are.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.header.tensors().len()
    }

    /// Tensors `from` up to `to` in file order, as columns: name, type; shape, offset from the start of the file, bytes.
    pub fn tensors(&self, from: usize, to: usize) -> js_sys::Array {
        let mut columns = Columns::default();
        for tensor in self.header.tensors().get(from..to).unwrap_or_default() {
            columns.text(&tensor.name);
            columns.shared(tensor.kind.name);
            columns.list(&tensor.shape);
            columns.numbers([tensor.offset, tensor.bytes]);
        }
        columns.done()
    }

    /// 2 or 3.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> u32 {
        self.header.version()
    }

    /// To what multiple tensors are placed.
    #[wasm_bindgen(getter)]
    pub fn alignment(&self) -> u32 {
        self.header.alignment()
    }

    /// Where tensor data begins.
    #[wasm_bindgen(getter, js_name = headerBytes)]
    pub fn header_bytes(&self) -> f64 {
        self.header.data_start() as f64
    }

    /// `[{ tensor, message }]`: see [`recipe::unreadable`].
    pub fn unreadable(&self) -> js_sys::Array {
        let found = recipe::unreadable(&self.header).into_iter();
        found.map(|(tensor, message)| Object::new().value("tensor", tensor).value("message", message).done()).collect()
    }

    /// See [`recipe::plan`]; `imatrix_name` is what the importance matrix is called where the recipe does not say.
    pub fn plan(
        &self,
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
        #[wasm_bindgen(js_name = imatrixName)] imatrix_name: Option<String>,
    ) -> Result<ModelPlan, Error> {
        let recipe: Recipe = serde_wasm_bindgen::from_value(given(&recipe))
            .map_err(|error| Error::new(Code::ARGUMENT, format!("the recipe is not understood: {error}")))?;
        let imatrix = shared_matrix(imatrix)?;
        let plan = recipe::plan(&self.header, &named(&recipe, imatrix_name), imatrix.as_deref())?;
        Ok(ModelPlan { plan, recipe })
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
pub struct ModelPlan {
    pub(super) plan: Plan,
    /// As it was given.
    pub(super) recipe: Recipe,
}

/// A recipe that says what the importance matrix is called.
pub(super) fn named(recipe: &Recipe, imatrix_name: Option<String>) -> Recipe {
    let imatrix_file = recipe.imatrix_file.clone().or(imatrix_name);
    Recipe { imatrix_file, ..recipe.clone() }
}

#[wasm_bindgen]
impl ModelPlan {
    /// Bytes of the whole output file.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.plan.size as f64
    }

    /// The complete final header, padded to where tensor data begins.
    pub fn header(&self) -> js_sys::Uint8Array {
        js_sys::Uint8Array::from(self.plan.header.as_slice())
    }

    /// `[{ offset, size }]`: the files that are written.
    pub fn files(&self) -> js_sys::Array {
        let further = &self.plan.further;
        let first = (0, further.first().map_or(self.plan.size, |shard| shard.offset));
        let files = std::iter::once(first).chain(further.iter().map(|shard| (shard.offset, shard.size)));
        files.map(|(offset, size)| Object::new().number("offset", offset).number("size", size).done()).collect()
    }

    /// `[{ header, offset, size }]`: the files after the first, where the output is split.
    pub fn further(&self) -> js_sys::Array {
        let shards = self.plan.further.iter();
        shards
            .map(|shard| {
                let header = js_sys::Uint8Array::from(shard.header.as_slice());
                let object = Object::new().value("header", header);
                object.number("offset", shard.offset).number("size", shard.size).done()
            })
            .collect()
    }

    /// Of a plan in bitsandbytes' formats, the modules that stay as they are, as `config.json` lists them.
    #[wasm_bindgen(js_name = skippedModules)]
    pub fn skipped_modules(&self) -> Option<Vec<String>> {
        self.plan.four_bit.as_ref().map(|four_bit| four_bit.skipped.clone())
    }

    /// How many tensors there are.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.plan.tensors.len()
    }

    /// Tensors `from` up to `to` in output order, as columns: name, source name, from, to, why; shape, rows, row length, rows
    /// of a head, source offset and bytes, target offset from the start of the file, target bytes, padded bytes, whether it
    /// needs importance, whether it has it.
    pub fn tensors(&self, from: usize, to: usize) -> js_sys::Array {
        let mut columns = Columns::default();
        for tensor in self.plan.tensors.get(from..to).unwrap_or_default() {
            columns.text(&tensor.name);
            columns.text(if tensor.source_name == tensor.name { "" } else { &tensor.source_name });
            columns.shared(tensor.from.name);
            columns.shared(tensor.to.name);
            columns.shared(&tensor.why);
            columns.list(&tensor.shape);
            columns.numbers([tensor.rows, tensor.row_length, tensor.head_rows]);
            columns.numbers([tensor.source_offset, tensor.source_bytes]);
            columns.numbers([tensor.place.offset, tensor.place.bytes, tensor.place.padded]);
            columns.numbers([tensor.needs_importance.into(), tensor.has_importance.into()]);
        }
        columns.done()
    }

    /// The importance of a tensor's columns, for every expert (`shape[2]`) in turn.
    pub fn importance(&self, index: usize) -> Option<Vec<f32>> {
        self.plan.importance(index).map(<[f32]>::to_vec)
    }
}

/// See [`recipe::Tile::encode`]; `errors` gets the eight [sums](ErrorSums) of what it did to the weights.
#[wasm_bindgen(js_name = encodeTile)]
#[allow(clippy::too_many_arguments)] // one call across the boundary for each tile, without an object to be read
pub fn encode_tile(
    bytes: &[u8],
    from: &str,
    to: &str,
    columns: usize,
    importance: Option<Box<[f32]>>,
    #[wasm_bindgen(js_name = meanSquare)] mean_square: Option<f32>,
    #[wasm_bindgen(js_name = headRows)] head_rows: usize,
    errors: Option<Float64Array>,
) -> Result<Vec<u8>, Error> {
    let mut sums = errors.as_ref().map(|_| ErrorSums::default());
    let (from, to, importance) = (TensorType::by_name(from)?, TensorType::by_name(to)?, importance.as_deref());
    let encoded = Tile { bytes, from, to, columns, importance, mean_square, head_rows }.encode(sums.as_mut())?;
    if let (Some(errors), Some(sums)) = (errors, sums) {
        errors.copy_from(&sums.to_array());
    }
    Ok(encoded)
}

/// Whether a format, under importance, needs the mean square of the whole row: see [`Codec::weighs_by_row`].
#[wasm_bindgen(js_name = weighsByRow)]
pub fn weighs_by_row(format: &str) -> bool {
    Codec::by_name(format).is_ok_and(|codec| codec.weighs_by_row)
}

/// See [`recipe::add_row_squares`].
#[wasm_bindgen(js_name = addRowSquares)]
pub fn add_row_squares(sum: f32, bytes: &[u8], from: &str) -> Result<f32, Error> {
    recipe::add_row_squares(sum, bytes, from)
}

/// See [`format::mean_square`].
#[wasm_bindgen(js_name = meanSquare)]
pub fn mean_square(sum: f32, len: f64) -> Result<f32, Error> {
    Ok(format::mean_square(sum, count(len, "len")?))
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
    #[wasm_bindgen(js_name = meanSquare)] mean_square: Option<f32>,
) -> Result<js_sys::Array, Error> {
    let results = recipe::analyze_rows(bytes, from, row_length, &formats, importance.as_deref(), mean_square)?;
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
