//! One tile as a task: which bytes to read, and what to make of them.

use super::journal::xxh64;
use super::tiles::ByteRange;
use crate::analysis::ErrorSums;
use crate::container::gguf::TensorType;
use crate::error::{Detail, Error, Result};
use crate::format::Codec;
use crate::recipe;
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
    pub tensor: String,
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
pub struct Done {
    /// The task's number.
    pub id: u64,
    /// The bytes of the output.
    pub bytes: Vec<u8>,
    /// XXH64 of the bytes, where it was wanted.
    pub hash: Option<String>,
    /// The sums of what was lost, where it was measured.
    pub errors: Option<[f64; 8]>,
    /// Whether bytes of an earlier run are what it noted.
    pub intact: bool,
    /// The sum of squares, where that was asked for.
    pub sum: Option<f32>,
}

impl Task {
    /// Does the work on the bytes that were read.
    ///
    /// # Errors
    /// Those of [`recipe::Tile::encode`], told of the tensor: where an error has an index, it counts from the tensor's
    /// first weight, and row and column are told too.
    pub fn run(&self, bytes: Vec<u8>) -> Result<Done> {
        match &self.work {
            Work::Check { hash, length } => {
                let intact = bytes.len() as u64 == *length && xxh64(&bytes) == *hash;
                Ok(Done { id: self.id, bytes, hash: None, errors: None, intact, sum: None })
            }
            Work::Squares { from, sum } => {
                let sum = recipe::add_row_squares(*sum, &bytes, from).map_err(|error| self.within_tensor(error))?;
                Ok(Done { id: self.id, bytes: Vec::new(), hash: None, errors: None, intact: true, sum: Some(sum) })
            }
            Work::Encode { measure, hash, .. } => {
                let mut sums = measure.then(ErrorSums::default);
                let bytes = self.encode(bytes, sums.as_mut()).map_err(|error| self.within_tensor(error))?;
                let hash = hash.then(|| xxh64(&bytes));
                Ok(Done { id: self.id, bytes, hash, errors: sums.map(ErrorSums::to_array), intact: true, sum: None })
            }
        }
    }

    fn encode(&self, bytes: Vec<u8>, errors: Option<&mut ErrorSums>) -> Result<Vec<u8>> {
        let Work::Encode { from, to, columns, head_rows, importance, mean_square, .. } = &self.work else {
            return Ok(bytes);
        };
        let (from, to) = (TensorType::by_name(from)?, TensorType::by_name(to)?);
        let (columns, head_rows) = (*columns as usize, *head_rows as usize);
        if from == to && head_rows == 0 {
            // Integers and other types without a codec are bytes to be copied.
            return Codec::by_id(from.id).map_or(Ok(()), |codec| codec.validate(&bytes)).map(|()| bytes);
        }
        let (importance, mean_square) = (importance.as_deref(), *mean_square);
        recipe::Tile { bytes: &bytes, from, to, columns, importance, mean_square, head_rows }.encode(errors)
    }

    /// The error told of its tensor: an index counts from the task's first weight.
    fn within_tensor(&self, error: Error) -> Error {
        let index = error.details().iter().find_map(|(name, value)| match value {
            Detail::Number(index) if *name == "index" => Some(*index as u64),
            _ => None,
        });
        let Some(index) = index.map(|index| index + self.first_weight) else {
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
