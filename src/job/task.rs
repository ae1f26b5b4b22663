//! One tile as a task: which bytes to read, and how to convert them.

use super::bnb::options_of;
use super::tiles::ByteRange;
use crate::analysis::DistortionSums;
use crate::container::gguf::TensorType;
use crate::error::{Error, Result};
use crate::format::Codec;
use crate::hash::Hasher;
use crate::interning::Name;
use crate::nf4::{DataType4Bit, Quantized4Bit, block_absmax, dequantize_4bit, quantize_4bit};
use crate::recipe::{self, bnb_data_type};
use crate::tiling::{Input, TILE, tiles_of};
use crate::validation;
use serde::{Deserialize, Serialize};

/// A unit of work. Plain data that can be sent to any thread or worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Task {
    /// The id of the task within its job.
    pub id: u64,
    /// The bytes to read.
    pub read: Read,
    /// How to process them.
    pub work: Work,
    /// The name of the tensor, for error messages.
    pub tensor: Name,
    /// The number of the tensor's weights before this task, for error messages.
    pub first_weight: u64,
    /// The row length of the tensor, for error messages.
    pub row_length: u64,
}

/// Where to read the bytes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Read {
    /// From the source.
    Source(ByteRange),
    /// From the partial output of an earlier run, with `offset` in the concatenation of all files. There may be fewer
    /// bytes.
    Output(ByteRange),
}

/// How to process the bytes of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Work {
    /// Convert weights from one dtype to another.
    Encode {
        /// The dtype of the input.
        from: String,
        /// The dtype of the output; if it is the same, the bytes are checked and copied.
        to: String,
        /// Weights per row.
        columns: u64,
        /// Rows per head whose halves are interleaved first; 0 for none.
        permuted_head_rows: u64,
        /// One importance value per column.
        importance: Option<Vec<f32>>,
        /// The mean square of the whole row, if this is a piece of one and the format needs it.
        mean_square: Option<f32>,
        /// For bitsandbytes' types: the decoded scales in the file, if the error is measured with them.
        scales: Option<Vec<f32>>,
        /// Whether to measure the error.
        measure: bool,
        /// Whether to hash the result for the journal.
        hash: bool,
    },
    /// Add the squares of the next piece of a row to the sum of the earlier ones. In some formats the codes of every
    /// piece depend on the mean square of the row.
    Squares {
        /// The dtype of the weights.
        from: String,
        /// The sum so far.
        sum: f32,
    },
    /// Compute the scales of blocks in one of bitsandbytes' types. With double quantization the error depends on all
    /// scales of a tensor.
    Absmax {
        /// The dtype of the input.
        from: String,
        /// The dtype of the output.
        to: String,
    },
    /// Check that the bytes written by an earlier run match the journal.
    Check {
        /// The XXH64 of the bytes, in hexadecimal.
        hash: String,
        /// The expected length.
        length: u64,
    },
}

/// The result of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Done<B = Vec<u8>> {
    /// The id of the task.
    pub id: u64,
    /// The bytes of the output.
    pub bytes: B,
    /// The findings about the bytes.
    pub found: Findings,
}

/// The findings of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// The XXH64 of the bytes, if it was requested.
    pub hash: Option<String>,
    /// The error sums, if they were measured.
    pub errors: Option<[f64; 8]>,
    /// Whether bytes of an earlier run match the journal.
    pub intact: bool,
    /// The sum of squares, if it was requested.
    pub sum: Option<f32>,
    /// The scales of blocks, for bitsandbytes' types.
    pub absmax: Option<Vec<f32>>,
}

impl Default for Findings {
    fn default() -> Self {
        Findings { hash: None, errors: None, intact: true, sum: None, absmax: None }
    }
}

impl Task {
    /// Processes the bytes that were read.
    ///
    /// # Errors
    /// As for [`recipe::Tile::encode`], with the name of the tensor. If an error has an index, it is relative to the
    /// tensor's first weight, and row and column are added.
    pub fn run(&self, bytes: Vec<u8>) -> Result<Done> {
        if let Some(pass) = self.pass()? {
            return Ok(Done { id: self.id, found: pass.run(bytes.as_slice())?, bytes });
        }
        let (bytes, found) = self.work(bytes).map_err(|error| self.within_tensor(error, self.first_weight))?;
        Ok(Done { id: self.id, bytes, found })
    }

    fn work(&self, bytes: Vec<u8>) -> Result<(Vec<u8>, Findings)> {
        match &self.work {
            Work::Check { .. } => Ok((bytes, Findings::default())),
            Work::Squares { from, sum } => {
                let sum = Some(recipe::add_row_squares(*sum, &bytes, from)?);
                Ok((Vec::new(), Findings { sum, ..Findings::default() }))
            }
            Work::Absmax { from, to } => {
                let weights = recipe::decode_to_f32(&bytes, TensorType::by_name(from)?)?;
                let absmax = data_type(to).map(|kind| block_absmax(&weights, &options_of(kind))).transpose()?;
                Ok((Vec::new(), Findings { absmax, ..Findings::default() }))
            }
            Work::Encode { measure, hash, .. } => {
                let mut sums = measure.then(DistortionSums::default);
                let (bytes, absmax) = self.encode(bytes, sums.as_mut())?;
                let hash = hash.then(|| xxh64(&bytes));
                Ok((
                    bytes,
                    Findings { hash, errors: sums.map(DistortionSums::to_array), absmax, ..Findings::default() },
                ))
            }
        }
    }

    fn encode(&self, bytes: Vec<u8>, errors: Option<&mut DistortionSums>) -> Result<(Vec<u8>, Option<Vec<f32>>)> {
        let Work::Encode { from, to, columns, permuted_head_rows, importance, mean_square, scales, .. } = &self.work
        else {
            return Ok((bytes, None));
        };
        let from = TensorType::by_name(from)?;
        if let Some(data_type) = data_type(to) {
            let (codes, absmax) = encode_bnb(&bytes, from, data_type, scales.as_deref(), errors)?;
            return Ok((codes, Some(absmax)));
        }
        let (to, columns, permuted_head_rows) =
            (TensorType::by_name(to)?, *columns as usize, *permuted_head_rows as usize);
        let (importance, mean_square) = (importance.as_deref(), *mean_square);
        let tile = recipe::Tile { bytes: &bytes, from, to, columns, importance, mean_square, permuted_head_rows };
        Ok((tile.encode(errors)?, None))
    }

    /// How to check the bytes, if they are copied unchanged.
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME) for an unknown dtype.
    pub fn pass(&self) -> Result<Option<Pass<'_>>> {
        let (codec, hasher, known) = match &self.work {
            Work::Encode { from, to, permuted_head_rows: 0, hash, .. } if from == to => {
                // Integers and other dtypes without a codec can only be copied.
                let codec = Codec::by_id(TensorType::by_name(from)?.id);
                (codec, hash.then(Hasher::xxh64), None)
            }
            Work::Check { hash, length } => (None, Some(Hasher::xxh64()), Some((hash.as_str(), *length))),
            _ => return Ok(None),
        };
        Ok(Some(Pass { task: self, codec, hasher, known, bytes: 0 }))
    }

    /// Adds the tensor to an error; an index is relative to weight `first`.
    fn within_tensor(&self, error: Error, first: u64) -> Error {
        let Some(index) = error.index().map(|index| index + first) else {
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

/// Bytes that a task copies unchanged. They are checked piece by piece, in whatever memory they are.
pub struct Pass<'a> {
    task: &'a Task,
    codec: Option<&'static Codec>,
    hasher: Option<Hasher>,
    known: Option<(&'a str, u64)>,
    bytes: u64,
}

impl Pass<'_> {
    /// Checks the bytes, tile by tile, and returns the findings.
    ///
    /// # Errors
    /// As for [`Codec::validate`], with the name of the tensor.
    pub(crate) fn run(mut self, mut bytes: impl Input<Item = u8>) -> Result<Findings> {
        // Without a check or a hash the bytes are not read at all.
        if self.codec.is_some() || self.hasher.is_some() {
            let block = self.codec.map_or(1, |codec| codec.bytes);
            for blocks in tiles_of(bytes.len().div_ceil(block), block, 1, TILE) {
                self.add(bytes.read(blocks.start * block..bytes.len().min(blocks.end * block)))?;
            }
        }
        Ok(self.finish())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
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

    fn finish(self) -> Findings {
        let hash = self.hasher.map(|hasher| hasher.hex());
        match self.known {
            None => Findings { hash, ..Findings::default() },
            Some((known, length)) => {
                let intact = self.bytes == length && hash.as_deref() == Some(known);
                Findings { intact, ..Findings::default() }
            }
        }
    }
}

fn data_type(name: &str) -> Option<DataType4Bit> {
    [TensorType::NF4, TensorType::FP4].into_iter().find(|kind| kind.name == name).and_then(bnb_data_type)
}

/// The codes and scales of a tile: whole blocks, except for the tensor's last one.
fn encode_bnb(
    bytes: &[u8],
    from: TensorType,
    data_type: DataType4Bit,
    scales: Option<&[f32]>,
    errors: Option<&mut DistortionSums>,
) -> Result<(Vec<u8>, Vec<f32>)> {
    let weights = recipe::decode_to_f32(bytes, from)?;
    let tensor = quantize_4bit(&weights, &options_of(data_type))?;
    if let Some(errors) = errors {
        let absmax = scales.map_or_else(|| tensor.absmax.clone(), <[f32]>::to_vec);
        let decoded = dequantize_4bit(&Quantized4Bit { absmax, ..tensor.clone() })?;
        validation::finite(&decoded, "weight")?;
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
