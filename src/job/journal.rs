//! The journal of a conversion: records completed tiles, so that an interrupted run can be resumed.
//!
//! A text file. Each line is a checksum (CRC-32 in hexadecimal), a space, and JSON: the first line identifies the job,
//! and each further line is a tile that is on disk. Torn or damaged lines are ignored, and their tiles are encoded
//! again.
//!
//! ```text
//! 9c1e3a70 {"journal":"quantpress journal 1","engine":"0.1.0","source":"...","imatrix":"","recipe":"..."}
//! 5f0b77d2 {"offset":16384,"length":147456,"hash":"a8f3...","note":[262144,0.013,...]}
//! ```

use super::json_text::{crc32, list, number, quoted};
use crate::analysis::DistortionSums;
use crate::error::{Code, Error, Result};
use crate::hash::Hasher;
use crate::json::{self, Value};
use crate::recipe::{Plan, PlannedTensor, Recipe, TensorTypeRule};
use std::collections::BTreeMap;
use std::fmt::Write;

const MAGIC: &str = "quantpress journal 1";

/// Maximum size of a journal. An output of terabytes has a few million tiles with a hundred bytes each.
pub const MAX_JOURNAL_BYTES: u64 = 1 << 29;

/// Maximum length of a line, far above that of any valid one.
const MAX_LINE: usize = 1 << 16;

/// Number of tensors hashed at a time. Each group is a list of its own, so the identity depends on it.
const PLACES: usize = 4096;

/// Number of bytes of a header hashed at a time.
const HEADER_PIECE: usize = 1 << 20;

/// Number of digits of a checksum.
const CHECKSUM: usize = 8;

/// The identity of a job. An interrupted run can only be resumed if all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The version of the engine.
    pub engine: String,
    /// Size, state and header of the source; empty if the source cannot be recognized again.
    pub source: String,
    /// The SHA-256 of the importance matrix; empty without one.
    pub imatrix: String,
    /// The recipe and its plan: the header of the output file and the position of each tensor.
    pub recipe: String,
}

impl Identity {
    /// The identity of a plan's conversion. `source` describes the state of the source: its size, modification time
    /// etc.
    pub fn new(plan: &Plan, recipe: &Recipe, source: String, imatrix: String) -> Self {
        let mut identifier = Identifier::new(recipe);
        while !identifier.step(plan) {}
        identifier.finish(source, imatrix)
    }

    /// The first line of this job's journal.
    pub fn head(&self) -> Vec<u8> {
        let Identity { engine, source, imatrix, recipe } = self;
        let [engine, source, imatrix, recipe] = [engine, source, imatrix, recipe].map(|text| quoted(text));
        line(&format!(
            r#"{{"journal":"{MAGIC}","engine":{engine},"source":{source},"imatrix":{imatrix},"recipe":{recipe}}}"#
        ))
    }

    /// Checks that the journal belongs to this job.
    ///
    /// # Errors
    /// [`Code::CHANGED`] with the part that differs; [`Code::UNSUPPORTED`] if the source cannot be recognized again.
    pub fn check(&self, journal: &Identity) -> Result<()> {
        if self.source.is_empty() || journal.source.is_empty() {
            let message = "cannot resume: this kind of source cannot be recognized again, because it has neither a modification time nor an ETag";
            return Err(Error::new(Code::UNSUPPORTED, message));
        }
        let engines =
            format!("it was started by version {} of the engine, but this is {}", journal.engine, self.engine);
        let parts = [
            ("engine", &journal.engine, &self.engine, engines.as_str()),
            ("source", &journal.source, &self.source, "the source is a different file, or has changed since"),
            ("imatrix", &journal.imatrix, &self.imatrix, "the importance matrix is a different file"),
            ("recipe", &journal.recipe, &self.recipe, "the preset or the options are different"),
        ];
        let Some((part, .., what)) = parts.into_iter().find(|(_, theirs, ours, _)| theirs != ours) else {
            return Ok(());
        };
        let message = format!("cannot resume: {what}. Run without resume to start again");
        Err(Error::new(Code::CHANGED, message).with("changed", part))
    }
}

/// Computes an [`Identity`] in steps of bounded work, because a plan may have a million tensors.
pub struct Identifier {
    header: Hasher,
    text: Hasher,
    /// The bytes of the header, and the groups of tensors, that are hashed.
    bytes: usize,
    groups: usize,
}

impl Identifier {
    /// Begins with a recipe.
    pub fn new(recipe: &Recipe) -> Self {
        let mut text = Hasher::sha256();
        text.update(list(entries(recipe)).as_bytes());
        Identifier { header: Hasher::sha256(), text, bytes: 0, groups: 0 }
    }

    /// Hashes the next part of the recipe's plan; returns whether that was all of it.
    pub fn step(&mut self, plan: &Plan) -> bool {
        let rest = plan.header().get(self.bytes..).unwrap_or_default();
        let piece = &rest[..rest.len().min(HEADER_PIECE)];
        self.header.update(piece);
        self.bytes += piece.len();
        if piece.len() < rest.len() {
            return false;
        }
        let mut groups = plan.tensors.chunks(PLACES).skip(self.groups);
        let Some(tensors) = groups.next() else { return true };
        self.text.update(places(tensors).as_bytes());
        self.groups += 1;
        groups.next().is_none()
    }

    /// The identity, once all is hashed. For the arguments see [`Identity::new`].
    pub fn finish(self, source: String, imatrix: String) -> Identity {
        let recipe = format!("{} {}", self.header.hex(), self.text.hex());
        Identity { engine: env!("CARGO_PKG_VERSION").to_owned(), source, imatrix, recipe }
    }
}

/// The properties of tensors that determine the bytes of their tiles, as a JSON list.
fn places(tensors: &[PlannedTensor]) -> String {
    let mut text = String::from("[");
    for PlannedTensor { source_offset, from, to, place, rows, row_length, has_importance, .. } in tensors {
        if text.len() > 1 {
            text.push(',');
        }
        let (from, to, offset) = (quoted(from.name), quoted(to.name), place.offset);
        // Cannot fail: a string takes everything.
        let _ = write!(text, "[{source_offset},{from},{to},{offset},{rows},{row_length},{has_importance}]");
    }
    text.push(']');
    text
}

/// The options of a recipe that are set, as JSON pairs: `["preset","Q4_K_M"]`.
fn entries(recipe: &Recipe) -> Vec<String> {
    let Recipe { preset, pure, leave_output_tensor, allow_requantize, keep_split, plain, .. } = recipe;
    let texts = |texts: &[String]| (!texts.is_empty()).then(|| list(texts.iter().map(|text| quoted(text))));
    let truth = |set: bool| set.then(|| "true".to_owned());
    let rule = |TensorTypeRule { pattern, dtype, why }: &TensorTypeRule| {
        let why = why.as_ref().map_or(String::new(), |why| format!(r#","why":{}"#, quoted(why)));
        format!(r#"{{"pattern":{},"type":{}{why}}}"#, quoted(pattern), quoted(dtype))
    };
    let rules = (!recipe.tensor_types.is_empty()).then(|| list(recipe.tensor_types.iter().map(rule)));
    let layers = (!recipe.prune_layers.is_empty()).then(|| list(recipe.prune_layers.iter().map(u32::to_string)));
    let text = |text: &Option<String>| text.as_deref().map(quoted);
    // In alphabetical order.
    let options = [
        ("allowRequantize", truth(*allow_requantize)),
        ("doubleQuant", recipe.double_quant.map(|set| set.to_string())),
        ("excludeModules", recipe.exclude_modules.as_deref().map(|all| list(all.iter().map(|text| quoted(text))))),
        ("excludeWeights", texts(&recipe.exclude_weights)),
        ("imatrixFile", text(&recipe.imatrix_file)),
        ("includeWeights", texts(&recipe.include_weights)),
        ("keepSplit", truth(*keep_split)),
        ("leaveOutputTensor", truth(*leave_output_tensor)),
        ("outputTensorType", text(&recipe.output_tensor_type)),
        ("overrideKv", texts(&recipe.override_kv)),
        ("plain", truth(*plain)),
        ("preTokenizer", text(&recipe.pre_tokenizer)),
        ("preset", Some(quoted(preset))),
        ("pruneLayers", layers),
        ("pure", truth(*pure)),
        ("splitMaxSize", recipe.split_max_size.map(|size| size.to_string())),
        ("tensorTypes", rules),
        ("tokenEmbeddingType", text(&recipe.token_embedding_type)),
    ];
    let set = options.into_iter().filter_map(|(name, value)| Some(list([quoted(name), value?])));
    set.collect()
}

/// A tile that is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalTile {
    /// Start of the tile in the concatenation of all output files.
    pub offset: u64,
    /// Length without padding.
    pub length: u64,
    /// The XXH64 of its bytes.
    pub hash: String,
    /// The quantization error, if it was measured.
    pub errors: Option<DistortionSums>,
}

impl JournalTile {
    /// The line of the tile in the journal.
    pub fn line(&self) -> Vec<u8> {
        let JournalTile { offset, length, hash, errors } = self;
        let note = errors.map_or(String::new(), |sums| format!(r#","note":{}"#, list(sums.to_array().map(number))));
        line(&format!(r#"{{"offset":{offset},"length":{length},"hash":{}{note}}}"#, quoted(hash)))
    }

    fn read(value: &Value) -> Option<Self> {
        let number = |name| value.get(name)?.as_u64();
        let hash = value.get("hash")?.as_str()?.to_owned();
        let errors = value.get("note").and_then(sums_of);
        Some(JournalTile { offset: number("offset")?, length: number("length")?, hash, errors })
    }
}

fn sums_of(note: &Value) -> Option<DistortionSums> {
    let Value::List(values) = note else { return None };
    let numbers: Vec<f64> = values.iter().map(Value::as_f64).collect::<Option<_>>()?;
    Some(DistortionSums::from_array(numbers.try_into().ok()?))
}

/// A parsed journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// The job it belongs to.
    pub identity: Identity,
    /// The tiles, by offset.
    pub tiles: BTreeMap<u64, JournalTile>,
}

impl Journal {
    /// Parses a journal from any bytes; `None` if its first line is missing or damaged.
    pub fn parse(bytes: &[u8]) -> Option<Journal> {
        let mut reader = JournalReader::default();
        reader.add(bytes);
        reader.finish()
    }
}

/// Parses a journal incrementally.
#[derive(Clone, Debug, Default)]
pub struct JournalReader {
    /// The current incomplete line, up to the maximum length.
    line: Vec<u8>,
    length: u64,
    identity: Option<Identity>,
    /// Whether the first line was damaged.
    unusable: bool,
    tiles: BTreeMap<u64, JournalTile>,
}

impl JournalReader {
    /// Adds the next bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            let line = std::mem::take(&mut self.line);
            self.add_line(&line);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = (MAX_LINE + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn add_line(&mut self, line: &[u8]) {
        if line.is_empty() || self.unusable {
            return;
        }
        let value = parse_line(line);
        if self.identity.is_none() {
            self.identity = value.as_ref().and_then(identity_of);
            self.unusable = self.identity.is_none();
        } else if let Some(tile) = value.as_ref().and_then(JournalTile::read) {
            self.tiles.insert(tile.offset, tile);
        }
    }

    /// Returns the journal. An unterminated last line is ignored, because it may lack digits and still look valid.
    pub fn finish(self) -> Option<Journal> {
        let identity = self.identity.filter(|_| self.length <= MAX_JOURNAL_BYTES)?;
        Some(Journal { identity, tiles: self.tiles })
    }
}

fn identity_of(value: &Value) -> Option<Identity> {
    let text = |name| Some(value.get(name)?.as_str()?.to_owned());
    let known = value.get("journal")?.as_str()? == MAGIC;
    let identity = || {
        Some(Identity {
            engine: text("engine")?,
            source: text("source")?,
            imatrix: text("imatrix")?,
            recipe: text("recipe")?,
        })
    };
    known.then(identity)?
}

/// The leading newline ends a line torn by an interruption; empty lines are ignored.
fn line(json: &str) -> Vec<u8> {
    format!("\n{} {json}\n", crc32(json.as_bytes())).into_bytes()
}

fn parse_line(line: &[u8]) -> Option<Value> {
    if line.len() > MAX_LINE {
        return None;
    }
    let (sum, json) = (line.get(..CHECKSUM)?, line.get(CHECKSUM + 1..)?);
    (sum == crc32(json).as_bytes()).then(|| json::parse(json, "a line of a journal").ok())?
}
