//! JavaScript bindings of `container/safetensors` and `convert/`: a model of one or several files, listed and imported.

use super::build::{Columns, Object};
use super::read::{append, count};
use crate::container::safetensors::{self, Parsed};
use crate::convert::{Folder, ImportSpec, Imported};
use crate::error::Error;
use wasm_bindgen::prelude::*;

/// A safetensors model.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct SafetensorsModel {
    folder: Folder,
    /// The first bytes of the file that is being added.
    prefix: Vec<u8>,
}

#[wasm_bindgen]
impl SafetensorsModel {
    /// Creates a model without files.
    #[wasm_bindgen(constructor)]
    pub fn new() -> SafetensorsModel {
        SafetensorsModel::default()
    }

    /// Makes room for the next `length` bytes of the file that is being added.
    pub fn reserve(&mut self, length: usize) {
        self.prefix.reserve_exact(length);
    }

    /// Adds the next bytes of a file, from its start.
    pub fn append(&mut self, bytes: &js_sys::Uint8Array) {
        append(&mut self.prefix, bytes);
    }

    /// Adds the file whose first bytes were appended; returns where its tensor data begins, or the number of bytes from the
    /// start that are needed. For `shard` see [`Folder::add_shard`].
    pub fn add(&mut self, #[wasm_bindgen(js_name = fileSize)] file_size: f64, shard: bool) -> Result<JsValue, Error> {
        let size = count("fileSize", file_size)?;
        let prefix = std::mem::take(&mut self.prefix);
        let header = match safetensors::parse(&prefix, size)? {
            Parsed::NeedsMore(bytes) => {
                self.prefix = prefix;
                return Ok(Object::new().number("needed", bytes).done());
            }
            Parsed::Header(header) => header,
        };
        drop(prefix); // the tensors take its place
        let start = header.data_start;
        match shard {
            true => self.folder.add_shard(*header, size),
            false => self.folder.add(*header, size)?,
        }
        Ok(Object::new().number("dataStart", start).done())
    }

    /// Adds a file other than the tensors, such as `config.json`.
    #[wasm_bindgen(js_name = addFile)]
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.folder.add_file(name, bytes);
    }

    /// See [`Folder::set_name`].
    #[wasm_bindgen(js_name = setName)]
    pub fn set_name(&mut self, name: &str) {
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

    /// The names and offsets of all tensors, as columns.
    pub fn places(&self) -> js_sys::Array {
        let mut columns = Columns::default();
        for tensor in self.folder.tensors() {
            columns.text(&tensor.name);
            columns.numbers([tensor.offset]);
        }
        columns.done()
    }

    /// Like the header of a GGUF file: `[key, "string", undefined, value]` per entry, as one flat
    /// array.
    pub fn metadata(&self) -> js_sys::Array {
        let pairs = self.folder.metadata().iter();
        pairs.flat_map(|(key, value)| [key.into(), "string".into(), JsValue::UNDEFINED, value.into()]).collect()
    }

    /// See [`ImportSpec::run`]; the request is serialized.
    pub fn import(&self, request: &[u8]) -> Result<ImportResult, Error> {
        Ok(ImportResult(ImportSpec::from_bytes(request)?.run(&self.folder)?))
    }
}

/// The result of an import, serialized in pieces: a whole one would take the memory of all tensors three more times.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ImportResult(Imported);

#[wasm_bindgen]
impl ImportResult {
    /// The number of pieces.
    #[wasm_bindgen(getter)]
    pub fn pieces(&self) -> usize {
        self.0.pieces()
    }

    /// See [`Imported::piece`].
    pub fn piece(&self, index: usize) -> Vec<u8> {
        self.0.piece(index)
    }
}

/// The file names in an index (`model.safetensors.index.json`), without duplicates.
#[wasm_bindgen(js_name = indexFiles)]
pub fn index_files(text: &[u8]) -> Result<js_sys::Array, Error> {
    Ok(safetensors::parse_index(text)?.files.into_iter().map(JsValue::from).collect())
}
