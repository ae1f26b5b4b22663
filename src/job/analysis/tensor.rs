//! A tensor to analyze, and the steps of its analysis.

use super::measure::{Measure, Rows};
use crate::container::gguf::TensorType;
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Error, Result};
use crate::format::Codec;
use crate::interning::Name;
use crate::recipe::{Sampled, Stratum};

/// A tensor to analyze.
#[derive(Clone, Debug, PartialEq)]
pub struct AnalyzedTensor {
    /// The name.
    pub name: Name,
    /// The stored dtype.
    pub from: TensorType,
    /// The shape, row length first.
    pub shape: Vec<u64>,
    /// Start of the data in the source, in bytes.
    pub offset: u64,
    /// Size of the data in bytes.
    pub bytes: u64,
    /// Rows per attention head if their halves are interleaved during the conversion; 0 otherwise.
    pub permuted_head_rows: u64,
}

impl AnalyzedTensor {
    /// The number of weights.
    pub fn weights(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The rows to measure.
    pub fn strata(&self, sample: Option<u64>) -> Vec<Stratum> {
        let Self { shape, offset, bytes, permuted_head_rows, .. } = self;
        Sampled { shape, offset: *offset, bytes: *bytes, permuted_head_rows: *permuted_head_rows }.strata(sample)
    }

    /// Whether its shape and dtype allow quantizing it. Integers are copied.
    pub(super) fn can_be_quantized(&self) -> bool {
        const FLOATS: [TensorType; 6] = [
            TensorType::F32,
            TensorType::F16,
            TensorType::BF16,
            TensorType::F64,
            TensorType::F8_E4M3,
            TensorType::F8_E5M2,
        ];
        self.shape.len() > 1
            && (FLOATS.contains(&self.from) || Codec::by_id(self.from.id).is_some_and(|codec| codec.weights > 1))
    }

    /// What to measure of a stratum.
    pub(super) fn rows(&self, stratum: &Stratum, importance: Option<&ImportanceMatrix>) -> Result<Rows> {
        let named = |error: Error| error.within(&format!("tensor '{}'", self.name)).with("tensor", self.name.as_str());
        let entry = importance.map(|matrix| matrix.of_tensor(&self.name, &self.shape)).transpose().map_err(named)?;
        let row_length = self.shape.first().copied().unwrap_or(0);
        let first = (stratum.matrix * row_length + stratum.column) as usize;
        let of_columns = |values: &[f32]| values.get(first..first + stratum.columns as usize).map(<[f32]>::to_vec);
        let importance = entry.flatten().and_then(|entry| of_columns(&entry.values));
        Ok(Rows { from: self.from.name.to_owned(), columns: stratum.columns, importance, mean_square: None })
    }
}

/// Bytes to read and what to measure of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The id of the step within its analysis.
    pub id: u64,
    /// The index of the tensor.
    pub tensor: usize,
    /// Offsets and lengths in the source; the bytes are concatenated.
    pub ranges: Vec<(u64, u64)>,
    /// What to measure.
    pub measure: Measure,
}

/// The next action of a driver.
#[derive(Clone, Debug, PartialEq)]
pub enum NextStep {
    /// Measure these rows.
    Step(Step),
    /// Wait until a step in flight is completed.
    Wait,
    /// All steps have been returned.
    Finished,
}
