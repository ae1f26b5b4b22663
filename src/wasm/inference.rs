//! JavaScript bindings of `inference/`: models that are run. JavaScript reads the bytes that a run asks for.

use super::build::{Object, report};
use crate::container::gguf::HeaderAssembler;
use crate::error::{Code, Error};
use crate::inference::{LanguageModel, Run, RunOptions};
use wasm_bindgen::prelude::*;

/// A model that is assembled from the pieces of its header, which the module with the parsers serialized.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelAssembler(HeaderAssembler);

#[wasm_bindgen]
impl ModelAssembler {
    /// Reads the first piece.
    #[wasm_bindgen(constructor)]
    pub fn new(piece: &[u8]) -> Result<ModelAssembler, Error> {
        Ok(ModelAssembler(HeaderAssembler::new(piece)?))
    }

    /// Reads the next piece.
    pub fn add(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.0.add(piece)
    }

    /// See [`LanguageModel::new`].
    pub fn finish(self) -> Result<RunnableModel, Error> {
        Ok(RunnableModel(LanguageModel::new(&self.0.finish())?))
    }
}

/// A model that can be run, with its tokenizer.
#[wasm_bindgen]
#[derive(Debug)]
pub struct RunnableModel(LanguageModel);

#[wasm_bindgen]
impl RunnableModel {
    /// See [`LanguageModel::tokens`].
    pub fn tokens(&self, text: &[u8], #[wasm_bindgen(js_name = parseSpecial)] parse_special: bool) -> Vec<u32> {
        self.0.tokens(text, parse_special)
    }

    /// See [`LanguageModel::importance`].
    pub fn importance(
        &self,
        tokens: &[u32],
        #[wasm_bindgen(js_name = chunkSize)] chunk_size: usize,
        chunks: usize,
        #[wasm_bindgen(js_name = processOutput)] process_output: bool,
    ) -> Result<ModelRun, Error> {
        let options = RunOptions { chunk_size, chunks, process_output, ..RunOptions::default() };
        Ok(ModelRun(self.0.importance(tokens, &options)?))
    }

    /// See [`LanguageModel::perplexity`].
    pub fn perplexity(
        &self,
        tokens: &[u32],
        #[wasm_bindgen(js_name = chunkSize)] chunk_size: usize,
        chunks: usize,
    ) -> Result<ModelRun, Error> {
        let options = RunOptions { chunk_size, chunks, ..RunOptions::default() };
        Ok(ModelRun(self.0.perplexity(tokens, &options)?))
    }

    /// See [`LanguageModel::divergence`].
    pub fn divergence(
        &self,
        base: &RunnableModel,
        tokens: &[u32],
        #[wasm_bindgen(js_name = chunkSize)] chunk_size: usize,
        chunks: usize,
    ) -> Result<ModelRun, Error> {
        let options = RunOptions { chunk_size, chunks, ..RunOptions::default() };
        Ok(ModelRun(self.0.divergence(&base.0, tokens, &options)?))
    }
}

/// A text that runs through one or two models.
#[wasm_bindgen]
pub struct ModelRun(Run);

#[wasm_bindgen]
impl ModelRun {
    /// The bytes to read next, `{ model, tensor, offset, length }`; `undefined` at the end. See [`Run::next`].
    pub fn next(&mut self) -> Result<JsValue, Error> {
        let Some(read) = self.0.next()? else { return Ok(JsValue::UNDEFINED) };
        let object = Object::new().number("model", read.model as u64).value("tensor", self.0.tensor(&read));
        Ok(object.number("offset", read.request.offset).number("length", read.request.length as u64).done())
    }

    /// See [`Run::supply`].
    pub fn supply(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.supply(bytes)
    }

    /// Steps that are done.
    #[wasm_bindgen(getter)]
    pub fn done(&self) -> f64 {
        self.0.progress().0 as f64
    }

    /// All steps.
    #[wasm_bindgen(getter)]
    pub fn total(&self) -> f64 {
        self.0.progress().1 as f64
    }

    /// The number of chunks.
    #[wasm_bindgen(getter)]
    pub fn chunks(&self) -> usize {
        self.0.chunks().0
    }

    /// The number of tokens of a chunk.
    #[wasm_bindgen(getter, js_name = chunkSize)]
    pub fn chunk_size(&self) -> usize {
        self.0.chunks().1
    }

    /// The importance matrix as `llama-imatrix` writes it. See [`Importance::to_gguf`](crate::inference::Importance::to_gguf).
    pub fn imatrix(&self, datasets: Vec<String>) -> Result<Vec<u8>, Error> {
        let (chunks, size) = self.0.chunks();
        let datasets: Vec<&str> = datasets.iter().map(String::as_str).collect();
        self.0.importance_matrix().ok_or_else(nothing)?.to_gguf(&datasets, chunks as u32, size as u32)
    }

    /// The perplexity, see [`PerplexityReport`](crate::inference::PerplexityReport); or the divergence, see
    /// [`DivergenceReport`](crate::inference::DivergenceReport).
    pub fn report(&self) -> Result<JsValue, Error> {
        match (self.0.perplexity_so_far(), self.0.divergence_so_far()) {
            (Some(perplexity), _) => report(&perplexity.report().ok_or_else(nothing)?),
            (_, Some(divergence)) => report(&divergence.report().ok_or_else(nothing)?),
            _ => Err(nothing()),
        }
    }
}

/// The error for a result that the run does not have.
fn nothing() -> Error {
    Error::new(Code::NO_DATA, "the run has no such result")
}
