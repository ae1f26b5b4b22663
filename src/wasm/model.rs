//! JavaScript bindings of `container/` and `recipe/`: open a model and plan its conversion.

use super::build::{Columns, Object, integer};
use super::read::{append, count, read, wrong};
use crate::container::gguf::{self, Cursor, Header};
use crate::container::imatrix;
use crate::error::Error;
use crate::recipe::{self, Plan, Planner, Recipe};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

/// The header of a GGUF file.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelHeader {
    pub(super) header: Arc<Header>,
    /// The position in the array of a pair up to which it has been read, so that reading on need not start again.
    pub(super) cursor: Cell<Option<(usize, Cursor)>>,
}

impl From<Header> for ModelHeader {
    fn from(header: Header) -> Self {
        ModelHeader { header: Arc::new(header), cursor: Cell::new(None) }
    }
}

/// Parses the header of a GGUF file in steps, so that the thread can do other things between them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct HeaderParser {
    bytes: Vec<u8>,
    parser: gguf::Parser,
}

#[wasm_bindgen]
impl HeaderParser {
    /// A parser for a file of `file_size` bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(#[wasm_bindgen(js_name = fileSize)] file_size: f64) -> Result<HeaderParser, Error> {
        Ok(HeaderParser { bytes: Vec::new(), parser: gguf::Parser::new(count("fileSize", file_size)?) })
    }

    /// Makes room for the next `length` bytes of the file, so that adding them copies none of the earlier ones.
    pub fn reserve(&mut self, length: usize) {
        self.bytes.reserve_exact(length);
    }

    /// Adds the next bytes of the file.
    pub fn add(&mut self, bytes: &js_sys::Uint8Array) {
        append(&mut self.bytes, bytes);
    }

    /// Reads the metadata or at most `most` tensors. Returns the header, or the number of bytes from the start of the file
    /// that are needed, or nothing if it has to be called again.
    #[wasm_bindgen(unchecked_return_type = "ModelHeader | number | undefined")]
    pub fn step(&mut self, most: u32) -> Result<JsValue, Error> {
        Ok(match self.parser.step(&self.bytes, most.into())? {
            gguf::Step::Header(header) => ModelHeader::from(*header).into(),
            gguf::Step::NeedsMore(bytes) => JsValue::from(bytes as f64),
            gguf::Step::Paused => JsValue::UNDEFINED,
        })
    }
}

#[wasm_bindgen]
impl ModelHeader {
    /// See [`gguf::join`]. The headers are consumed.
    pub fn join(shards: Vec<ModelHeader>) -> Result<ModelHeader, Error> {
        let headers = shards.into_iter().map(|shard| Arc::unwrap_or_clone(shard.header));
        Ok(gguf::join(headers.collect())?.into())
    }

    /// The number of this shard, from 0, according to the file.
    #[wasm_bindgen(getter, js_name = splitNumber)]
    pub fn split_number(&self) -> f64 {
        self.header.split_number() as f64
    }

    /// The number of shards of the model according to the file; 1 if it is not split.
    #[wasm_bindgen(getter, js_name = splitCount)]
    pub fn split_count(&self) -> f64 {
        self.header.split_count() as f64
    }

    /// The number of tensors.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.header.tensors().len()
    }

    /// Tensors `from` up to `to` in file order, as columns: name, type; shape, offset from the start of the file, size
    /// in bytes.
    pub fn tensors(&self, from: usize, to: usize) -> js_sys::Array {
        let mut columns = Columns::default();
        for tensor in self.header.tensors().get(from..to).unwrap_or_default() {
            columns.text(&tensor.name);
            columns.shared(tensor.dtype.name);
            columns.list(&tensor.shape);
            columns.numbers([tensor.offset, tensor.bytes]);
        }
        columns.done()
    }

    /// The number of pieces of the serialized header.
    #[wasm_bindgen(getter)]
    pub fn pieces(&self) -> usize {
        self.header.pieces()
    }

    /// See [`Header::piece`].
    pub fn piece(&self, index: usize) -> Vec<u8> {
        self.header.piece(index)
    }

    /// The GGUF version: 2 or 3.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> u32 {
        self.header.version()
    }

    /// The alignment of tensor data.
    #[wasm_bindgen(getter)]
    pub fn alignment(&self) -> u32 {
        self.header.alignment()
    }

    /// The offset at which tensor data begins.
    #[wasm_bindgen(getter, js_name = headerBytes)]
    pub fn header_bytes(&self) -> f64 {
        self.header.data_start() as f64
    }

    /// `[{ tensor, message }]`; see [`recipe::unreadable`].
    pub fn unreadable(&self) -> js_sys::Array {
        let found = recipe::unreadable(&self.header).into_iter();
        found.map(|(tensor, message)| Object::new().value("tensor", tensor).value("message", message).done()).collect()
    }

    /// Begins a [`recipe::plan`]; `imatrix_name` is the name of the importance matrix if the recipe does not state one.
    pub fn planner(
        &self,
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
        #[wasm_bindgen(js_name = imatrixName)] imatrix_name: Option<String>,
    ) -> Result<ModelPlanner, Error> {
        let recipe: Recipe = read("recipe", recipe)?;
        let imatrix = shared_matrix(imatrix)?;
        let header = Arc::clone(&self.header);
        let planner = Planner::new(header, &named(&recipe, imatrix_name), imatrix.as_deref())?;
        Ok(ModelPlanner { planner, recipe })
    }
}

/// Makes a plan in steps, so that the thread can do other things between them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelPlanner {
    pub(super) planner: Planner<'static>,
    /// The recipe as given.
    pub(super) recipe: Recipe,
}

#[wasm_bindgen]
impl ModelPlanner {
    /// See [`Planner::step`]; returns nothing if it has to be called again.
    pub fn step(&mut self, most: u32) -> Result<Option<ModelPlan>, Error> {
        let plan = self.planner.step(most as usize)?;
        Ok(plan.map(|plan| ModelPlan { plan, recipe: self.recipe.clone() }))
    }
}

/// An importance matrix, in the legacy or the GGUF format.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ImportanceMatrix(Rc<imatrix::ImportanceMatrix>);

#[wasm_bindgen]
extern "C" {
    /// An [`ImportanceMatrix`] owned by JavaScript, because an exported class cannot be an optional argument by
    /// reference.
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

    /// Another handle to the same matrix, to be freed separately.
    pub fn share(&self) -> ImportanceMatrix {
        ImportanceMatrix(Rc::clone(&self.0))
    }

    /// `[{ name, length, counts }]`, sorted by name.
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

/// The matrix in an optional argument.
pub(super) fn shared_matrix(imatrix: Option<SharedMatrix>) -> Result<Option<Rc<imatrix::ImportanceMatrix>>, Error> {
    let shared = imatrix.map(|imatrix| imatrix.share()).transpose();
    let shared = shared.map_err(|_| wrong("imatrix", "an ImportanceMatrix"))?;
    Ok(shared.map(|matrix| Rc::clone(&matrix.0)))
}

/// The plan of a conversion: the tensors, and the header of the output file.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelPlan {
    pub(super) plan: Plan,
    /// The recipe as given.
    pub(super) recipe: Recipe,
}

/// A recipe that states the name of the importance matrix.
pub(super) fn named(recipe: &Recipe, imatrix_name: Option<String>) -> Recipe {
    let imatrix_file = recipe.imatrix_file.clone().or(imatrix_name);
    Recipe { imatrix_file, ..recipe.clone() }
}

#[wasm_bindgen]
impl ModelPlan {
    /// Size of the whole output in bytes.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.plan.size as f64
    }

    /// The complete final header, padded to where tensor data begins.
    pub fn header(&self) -> js_sys::Uint8Array {
        js_sys::Uint8Array::from(self.plan.header())
    }

    /// `[{ offset, size }]`: the files that are written.
    pub fn files(&self) -> js_sys::Array {
        let files = self.plan.shards.iter();
        files.map(|file| Object::new().number("offset", file.offset).number("size", file.size).done()).collect()
    }

    /// `[{ header, offset, size }]`: the files of the output.
    pub fn shards(&self) -> js_sys::Array {
        let shards = self.plan.shards.iter();
        shards
            .map(|shard| {
                let object = Object::new().bytes("header", &shard.header);
                object.number("offset", shard.offset).number("size", shard.size).done()
            })
            .collect()
    }

    /// For a plan in bitsandbytes' formats, see [`recipe::BnbLayout::config`].
    #[wasm_bindgen(js_name = bnbConfig)]
    pub fn bnb_config(&self, config: &[u8]) -> Result<Option<String>, Error> {
        self.plan.bnb.as_ref().map(|bnb| bnb.config(config)).transpose()
    }

    /// The number of tensors.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.plan.tensors.len()
    }

    /// Tensors `from` up to `to` in output order, as columns: name, source name, from, to, why; shape, rows, row
    /// length, rows per head, source offset and size, target offset from the start of the file, target size, padded
    /// size, whether it needs importance, and whether it has it.
    pub fn tensors(&self, from: usize, to: usize) -> js_sys::Array {
        let mut columns = Columns::default();
        for tensor in self.plan.tensors.get(from..to).unwrap_or_default() {
            columns.text(&tensor.name);
            columns.text(if tensor.source_name == tensor.name { "" } else { &tensor.source_name });
            columns.shared(tensor.from.name);
            columns.shared(tensor.to.name);
            columns.shared(&tensor.why);
            columns.list(&tensor.shape);
            columns.numbers([tensor.rows, tensor.row_length, tensor.permuted_head_rows]);
            columns.numbers([tensor.source_offset, tensor.source_bytes]);
            columns.numbers([tensor.place.offset, tensor.place.bytes, tensor.place.padded]);
            columns.numbers([tensor.needs_importance.into(), tensor.has_importance.into()]);
        }
        columns.done()
    }

    /// The importance of a tensor's columns, for each expert (`shape[2]`) in turn.
    pub fn importance(&self, index: usize) -> Option<Vec<f32>> {
        self.plan.importance(index).map(<[f32]>::to_vec)
    }
}
