//! JavaScript bindings of `job/`. The job is in the thread that reads and writes, and its tasks run in workers: see
//! `task.rs`. The bytes of results stay in JavaScript's memory; only what is hashed passes through the engine,
//! piece by piece.

use super::arrays::reading;
use super::build::{Columns, Object, figures_of};
use super::model::ModelPlan;
use crate::error::Error;
use crate::hash::{self, Hasher};
use crate::job::{
    Buffer, ByteRange, Done, ErrorFigures, Findings, Finished, Identifier, Identity, Job, JobOptions, JournalReader,
    Next, Read, Task,
};
use crate::recipe::Recipe;
use js_sys::{Array, Function, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A hash implemented by the platform.
    type SystemHash;
    #[wasm_bindgen(method)]
    fn update(this: &SystemHash, bytes: &Uint8Array);
    #[wasm_bindgen(method)]
    fn hex(this: &SystemHash) -> String;
}

/// A SHA-256 of the platform or of the engine.
enum Sha256 {
    System(SystemHash),
    Engine(Hasher),
}

/// Bytes in JavaScript's memory.
#[derive(Clone)]
struct Kept(Uint8Array);

impl Buffer for Kept {
    type Sha256 = Sha256;
    /// Creates a hash of the platform, if it has one.
    type Hashing = Option<Function>;

    fn sha256(hashing: &Option<Function>) -> Sha256 {
        match hashing.as_ref().and_then(|make| make.call0(&JsValue::UNDEFINED).ok()) {
            Some(hash) => Sha256::System(hash.unchecked_into()),
            None => Sha256::Engine(Hasher::sha256()),
        }
    }

    fn of(bytes: Vec<u8>) -> Self {
        Kept(Uint8Array::from(bytes.as_slice()))
    }

    fn len(&self) -> u64 {
        self.0.length().into()
    }

    fn hash(&self, sha256: &mut [&mut Sha256], xxh64: Option<&mut Hasher>) {
        let mut own: Vec<&mut Hasher> = xxh64.into_iter().collect();
        for hash in sha256.iter_mut() {
            match hash {
                Sha256::System(hash) => hash.update(&self.0),
                Sha256::Engine(hasher) => own.push(hasher),
            }
        }
        hash::update_all(&mut own, reading(&self.0));
    }

    fn hex(hash: Sha256) -> String {
        match hash {
            Sha256::System(hash) => hash.hex(),
            Sha256::Engine(hasher) => hasher.hex(),
        }
    }
}

/// A running conversion.
#[wasm_bindgen]
pub struct ModelJob {
    job: Job<Kept>,
    recipe: Recipe,
    identifier: Option<Identifier>,
    identity: Option<Identity>,
    journal: JournalReader,
}

impl ModelPlan {
    fn into_job(self, options: JobOptions, hashing: Option<Function>) -> Result<ModelJob, Error> {
        let ModelPlan { plan, recipe } = self;
        let job = Job::hashing(plan, options, hashing)?;
        Ok(ModelJob { job, recipe, identifier: None, identity: None, journal: JournalReader::default() })
    }
}

#[wasm_bindgen]
impl ModelPlan {
    /// Creates the job of a plan, which is consumed. `sha256` creates a hash of the platform.
    pub fn job(
        self,
        hashes: bool,
        errors: bool,
        journal: bool,
        window: usize,
        sha256: Option<Function>,
    ) -> Result<ModelJob, Error> {
        let ordered = false;
        self.into_job(JobOptions { hashes, errors, journal, ordered, window }, sha256)
    }
}

#[wasm_bindgen]
impl ModelJob {
    /// Does the next step of [`Identifier`]. The last one sets the identity and returns the first line of the journal;
    /// before that it returns nothing, and has to be called again. `source` describes the state of the source, `imatrix`
    /// the importance matrix. See [`Identity::new`].
    pub fn identify(&mut self, source: String, imatrix: String) -> Option<Vec<u8>> {
        let mut identifier = self.identifier.take().unwrap_or_else(|| Identifier::new(&self.recipe));
        if !identifier.step(self.job.plan()) {
            self.identifier = Some(identifier);
            return None;
        }
        let identity = identifier.finish(source, imatrix);
        let head = identity.head();
        self.identity = Some(identity);
        Some(head)
    }

    /// Adds the next bytes of the journal of an earlier run.
    #[wasm_bindgen(js_name = addJournal)]
    pub fn add_journal(&mut self, bytes: &[u8]) {
        self.journal.add(bytes);
    }

    /// See [`Job::resume`]; returns false if the journal is unusable.
    pub fn resume(&mut self) -> Result<bool, Error> {
        let Some(journal) = std::mem::take(&mut self.journal).finish() else { return Ok(false) };
        let Some(identity) = &self.identity else { return Ok(false) };
        self.job.resume(identity, journal).map(|()| true)
    }

    /// A piece of the headers of at most `most` bytes, `[{ offset, bytes }]`; nothing after the last one. Offsets are
    /// relative to the concatenation of all files.
    pub fn start(&mut self, most: usize) -> Option<Array> {
        let writes = self.job.start_piece(most)?;
        Some(self.placed(writes))
    }

    fn placed(&self, writes: Vec<crate::job::Write<Kept>>) -> Array {
        let start = |file: usize| self.job.files().get(file).map_or(0, |file| file.offset);
        let placed = |write: crate::job::Write<Kept>| {
            let offset = start(write.file) + write.offset;
            Object::new().number("offset", offset).value("bytes", write.bytes.0).done()
        };
        writes.into_iter().map(placed).collect()
    }

    /// The next task, `{ id, tensor, output, ranges, task }`; `null` to wait for others, `undefined` at the end.
    pub fn next(&mut self) -> JsValue {
        let task = match self.job.next() {
            Next::Task(task) => task,
            Next::Wait => return JsValue::NULL,
            Next::Finished => return JsValue::UNDEFINED,
        };
        let (output, range) = match task.read {
            Read::Source(range) => (false, range),
            Read::Output(range) => (true, range),
        };
        let passes = task.pass().is_ok_and(|pass| pass.is_some());
        let object = Object::new().number("id", task.id).value("tensor", task.tensor.as_str()).value("output", output);
        let object = object.value("passes", passes);
        object.value("ranges", ranges(&range)).bytes("task", &task.to_bytes()).done()
    }

    /// See [`Job::complete`]; returns `{ writes: [{ offset, bytes }], entry }`.
    pub fn complete(&mut self, id: f64, found: &[u8], bytes: Option<Uint8Array>) -> Result<JsValue, Error> {
        let bytes = Kept(bytes.unwrap_or_else(|| Uint8Array::new_with_length(0)));
        let step = self.job.complete(Done { id: id as u64, bytes, found: Findings::from_bytes(found)? })?;
        let entry = step.entry.map_or(JsValue::UNDEFINED, |entry| Uint8Array::from(entry.as_slice()).into());
        Ok(Object::new().value("writes", self.placed(step.writes)).value("entry", entry).done())
    }

    /// See [`Job::written`].
    pub fn written(&mut self, id: f64) -> JsValue {
        let Some(progress) = self.job.written(id as u64) else { return JsValue::UNDEFINED };
        let object = Object::new().number("bytesDone", progress.bytes_done).number("bytesTotal", progress.bytes_total);
        let object = object.number("bytesResumed", progress.bytes_resumed).value("tensor", progress.tensor.as_str());
        let (done, total) = (progress.tensors_done as u64, progress.tensors_total as u64);
        object.number("tensorsDone", done).number("tensorsTotal", total).done()
    }

    /// See [`Job::end`].
    pub fn finish(self) -> Result<ModelReport, Error> {
        self.job.end().map(ModelReport)
    }
}

/// One range, or two if the halves are separate.
fn ranges(range: &ByteRange) -> Array {
    let part = |offset, length| Object::new().number("offset", offset).number("length", length).done();
    match range.second {
        None => Array::of1(&part(range.offset, range.length)),
        Some(second) => Array::of2(&part(range.offset, range.length / 2), &part(second, range.length / 2)),
    }
}

/// The report of a conversion.
#[wasm_bindgen]
pub struct ModelReport(Finished);

#[wasm_bindgen]
impl ModelReport {
    /// Size of the output in bytes.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.0.summary().size as f64
    }

    /// Bytes of the source that an earlier run had done.
    #[wasm_bindgen(getter, js_name = bytesResumed)]
    pub fn bytes_resumed(&self) -> f64 {
        self.0.summary().bytes_resumed as f64
    }

    /// SHA-256 of the output, if hashes were requested.
    #[wasm_bindgen(getter)]
    pub fn sha256(&self) -> Option<String> {
        self.0.summary().sha256.clone()
    }

    /// The weight error of the output, if errors were requested.
    #[wasm_bindgen(getter, js_name = weightError)]
    pub fn weight_error(&self) -> Option<f64> {
        self.0.summary().weight_error
    }

    /// `[{ size, sha256 }]`.
    pub fn shards(&self) -> Array {
        let shards = self.0.summary().shards.iter();
        shards
            .map(|shard| {
                let hash = shard.sha256.as_ref().map_or(JsValue::UNDEFINED, JsValue::from);
                Object::new().number("size", shard.size).value("sha256", hash).done()
            })
            .collect()
    }

    /// The number of tensors.
    #[wasm_bindgen(getter, js_name = tensorCount)]
    pub fn tensor_count(&self) -> usize {
        self.0.tensor_count()
    }

    /// Tensors `from` up to `to`, as columns: name, from, to, why, and SHA-256 and XXH64 if hashes were requested;
    /// source size, output size, and if errors were requested the error figures in order, with a flag for
    /// whether the last one was measured.
    pub fn tensors(&self, from: usize, to: usize) -> Array {
        let mut columns = Columns::default();
        for tensor in (from..to).map_while(|index| self.0.tensor(index)) {
            columns.text(&tensor.name);
            columns.shared(tensor.from);
            columns.shared(tensor.to);
            columns.shared(&tensor.why);
            columns.numbers([tensor.source_bytes, tensor.bytes]);
            if let Some(hashes) = &tensor.hashes {
                columns.text(&hashes.sha256.to_string());
                columns.text(&hashes.xxh64.to_string());
            }
            if let Some(figures) = &tensor.error {
                columns.floats(&figures_of(figures));
            }
        }
        columns.done()
    }
}
