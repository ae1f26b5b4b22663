//! One tile as a task: which bytes to read, and what to make of them.

use super::four_bit::options_of;
use super::tiles::ByteRange;
use crate::analysis::ErrorSums;
use crate::check;
use crate::container::gguf::TensorType;
use crate::error::{Detail, Error, Result};
use crate::format::Codec;
use crate::hash::Hasher;
use crate::nf4::{DataType4Bit, Quantized4Bit, block_absmax, dequantize_4bit, quantize_4bit};
use crate::recipe::{self, four_bit_data_type};
use crate::shared::Name;
use serde::{Deserialize, Serialize};

/// A piece of work: plain data, to be sent to any thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Which task of its job it is.
    pub id: u64,
    /// The bytes to read.
    pub read: Read,
    /// What to make of them.
    pub work: Work,
    /// The tensor's name, for errors.
    pub tensor: Name,
    /// How many of the tensor's weights come before the task's, for errors.
    pub first_weight: u64,
    /// Weights per row of the tensor, for errors.
    pub row_length: u64,
}

/// Where a task's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Read {
    /// In the source.
    Source(ByteRange),
    /// In the unfinished output that an earlier run left, `offset` counted through all files end to end. Fewer bytes may be
    /// there.
    Output(ByteRange),
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Work {
    /// Encodes weights of one type in another.
    Encode {
        /// The type they have.
        from: String,
        /// The type they get; the same is a copy, checked and passed through.
        to: String,
        /// Weights per row.
        columns: u64,
        /// Rows whose halves are interleaved first; 0 for none.
        head_rows: u64,
        /// One value per column.
        importance: Option<Vec<f32>>,
        /// The mean square of the whole row, if this is a piece of one and the format needs it.
        mean_square: Option<f32>,
        /// Of bitsandbytes' types, what the scales of the file are decoded to, if what is lost is that of them.
        scales: Option<Vec<f32>>,
        /// Whether what is lost is measured.
        measure: bool,
        /// Whether the result is hashed for the journal.
        hash: bool,
    },
    /// Adds the squares of the next piece of a row to the sum of those before it: its mean square decides codes of every
    /// piece in some formats.
    Squares {
        /// The type of the weights.
        from: String,
        /// The sum so far.
        sum: f32,
    },
    /// The scales of blocks, of one of bitsandbytes' types: where they have a second level, what is lost depends on all of a
    /// tensor's.
    Absmax {
        /// The type of the weights.
        from: String,
        /// The type they will get.
        to: String,
    },
    /// Checks that bytes an earlier run has written are those it noted.
    Check {
        /// XXH64 of the bytes, in hexadecimal.
        hash: String,
        /// How many there must be.
        length: u64,
    },
}

/// What a task gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done<B = Vec<u8>> {
    /// The task's number.
    pub id: u64,
    /// The bytes of the output.
    pub bytes: B,
    /// What is known of them.
    pub found: Found,
}

/// What a task finds out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// XXH64 of the bytes, where it was wanted.
    pub hash: Option<String>,
    /// The sums of what was lost, where it was measured.
    pub errors: Option<[f64; 8]>,
    /// Whether bytes of an earlier run are what it noted.
    pub intact: bool,
    /// The sum of squares, where that was asked for.
    pub sum: Option<f32>,
    /// The scales of blocks, of bitsandbytes' types.
    pub absmax: Option<Vec<f32>>,
}

impl Default for Found {
    fn default() -> Self {
        Found { hash: None, errors: None, intact: true, sum: None, absmax: None }
    }
}

impl Task {
    /// Does the work on the bytes that were read.
    ///
    /// # Errors
    /// Those of [`recipe::Tile::encode`], told of the tensor: where an error has an index, it counts from the tensor's
    /// first weight, and row and column are told too.
    pub fn run(&self, bytes: Vec<u8>) -> Result<Done> {
        if let Some(mut pass) = self.pass()? {
            pass.add(&bytes)?;
            return Ok(Done { id: self.id, found: pass.finish(), bytes });
        }
        let (bytes, found) = self.work(bytes).map_err(|error| self.within_tensor(error, self.first_weight))?;
        Ok(Done { id: self.id, bytes, found })
    }

    fn work(&self, bytes: Vec<u8>) -> Result<(Vec<u8>, Found)> {
        match &self.work {
            Work::Check { .. } => Ok((bytes, Found::default())),
            Work::Squares { from, sum } => {
                let sum = Some(recipe::add_row_squares(*sum, &bytes, from)?);
                Ok((Vec::new(), Found { sum, ..Found::default() }))
            }
            Work::Absmax { from, to } => {
                let weights = recipe::widen(&bytes, TensorType::by_name(from)?)?;
                let absmax = data_type(to).map(|kind| block_absmax(&weights, &options_of(kind))).transpose()?;
                Ok((Vec::new(), Found { absmax, ..Found::default() }))
            }
            Work::Encode { measure, hash, .. } => {
                let mut sums = measure.then(ErrorSums::default);
                let (bytes, absmax) = self.encode(bytes, sums.as_mut())?;
                let hash = hash.then(|| xxh64(&bytes));
                Ok((bytes, Found { hash, errors: sums.map(ErrorSums::to_array), absmax, ..Found::default() }))
            }
        }
    }

    fn encode(&self, bytes: Vec<u8>, errors: Option<&mut ErrorSums>) -> Result<(Vec<u8>, Option<Vec<f32>>)> {
        let Work::Encode { from, to, columns, head_rows, importance, mean_square, scales, .. } = &self.work else {
            return Ok((bytes, None));
        };
        let from = TensorType::by_name(from)?;
        if let Some(data_type) = data_type(to) {
            let (codes, absmax) = encode_four_bit(&bytes, from, data_type, scales.as_deref(), errors)?;
            return Ok((codes, Some(absmax)));
        }
        let (to, columns, head_rows) = (TensorType::by_name(to)?, *columns as usize, *head_rows as usize);
        let (importance, mean_square) = (importance.as_deref(), *mean_square);
        let tile = recipe::Tile { bytes: &bytes, from, to, columns, importance, mean_square, head_rows };
        Ok((tile.encode(errors)?, None))
    }

    /// How the bytes are looked at, if they pass through as they are.
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME) for a type.
    pub fn pass(&self) -> Result<Option<Pass<'_>>> {
        let (codec, hasher, known) = match &self.work {
            Work::Encode { from, to, head_rows: 0, hash, .. } if from == to => {
                // Integers and other types without a codec are bytes to be copied.
                let codec = Codec::by_id(TensorType::by_name(from)?.id);
                (codec, hash.then(Hasher::xxh64), None)
            }
            Work::Check { hash, length } => (None, Some(Hasher::xxh64()), Some((hash.as_str(), *length))),
            _ => return Ok(None),
        };
        Ok(Some(Pass { task: self, codec, hasher, known, bytes: 0 }))
    }

    /// The error told of its tensor: an index counts from weight `first`.
    fn within_tensor(&self, error: Error, first: u64) -> Error {
        let index = error.details().iter().find_map(|(name, value)| match value {
            Detail::Number(index) if *name == "index" => Some(*index as u64),
            _ => None,
        });
        let Some(index) = index.map(|index| index + first) else {
            return error.within(&format!("tensor '{}'", self.tensor)).with("tensor", self.tensor.as_str());
        };
        let (row, column) = (index / self.row_length.max(1), index % self.row_length.max(1));
        let message = format!("tensor '{}', row {row}, column {column}: {}", self.tensor, error.message());
        let mut told = Error::new(error.code(), message);
        for (name, value) in error.details().iter().filter(|(name, _)| *name != "index") {
            told = told.with(name, value.clone());
        }
        told.with("tensor", self.tensor.as_str()).with("index", index).with("row", row).with("column", column)
    }
}

/// Bytes that pass through a task as they are: they are looked at piece by piece, wherever they are kept.
pub struct Pass<'a> {
    task: &'a Task,
    codec: Option<&'static Codec>,
    hasher: Option<Hasher>,
    known: Option<(&'a str, u64)>,
    bytes: u64,
}

impl Pass<'_> {
    /// Whether the bytes have to be looked at: without a check or a hash they pass unseen.
    pub fn is_needed(&self) -> bool {
        self.codec.is_some() || self.hasher.is_some()
    }

    /// How long pieces are of which none is longer than `most` bytes: whole blocks.
    pub fn piece(&self, most: usize) -> usize {
        let block = self.codec.map_or(1, |codec| codec.bytes);
        (most / block).max(1) * block
    }

    /// Looks at the next piece.
    ///
    /// # Errors
    /// What [`Codec::validate`] finds, told of the tensor.
    pub fn add(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(codec) = self.codec {
            let weights = self.bytes / codec.bytes as u64 * codec.weights as u64;
            let first = self.task.first_weight + weights;
            codec.validate(bytes).map_err(|error| self.task.within_tensor(error, first))?;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// What was found.
    pub fn finish(self) -> Found {
        let hash = self.hasher.map(|hasher| hasher.hex());
        match self.known {
            None => Found { hash, ..Found::default() },
            Some((known, length)) => {
                let intact = self.bytes == length && hash.as_deref() == Some(known);
                Found { intact, ..Found::default() }
            }
        }
    }
}

fn data_type(name: &str) -> Option<DataType4Bit> {
    [TensorType::NF4, TensorType::FP4].into_iter().find(|kind| kind.name == name).and_then(four_bit_data_type)
}

/// The codes and scales of a tile: whole blocks, but for the tensor's last.
fn encode_four_bit(
    bytes: &[u8],
    from: TensorType,
    data_type: DataType4Bit,
    scales: Option<&[f32]>,
    errors: Option<&mut ErrorSums>,
) -> Result<(Vec<u8>, Vec<f32>)> {
    let weights = recipe::widen(bytes, from)?;
    let tensor = quantize_4bit(&weights, &options_of(data_type))?;
    if let Some(errors) = errors {
        let absmax = scales.map_or_else(|| tensor.absmax.clone(), <[f32]>::to_vec);
        let decoded = dequantize_4bit(&Quantized4Bit { absmax, ..tensor.clone() })?;
        check::finite(&decoded, "weight")?;
        errors.add(&weights, &decoded);
    }
    Ok((tensor.codes, tensor.absmax))
}

/// The XXH64 of bytes, in hexadecimal.
fn xxh64(bytes: &[u8]) -> String {
    let mut hasher = Hasher::xxh64();
    hasher.update(bytes);
    hasher.hex()
}
