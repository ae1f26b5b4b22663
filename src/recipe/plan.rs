//! What a plan consists of.

use super::row_sample::rows_per_matrix;
use crate::container::gguf::{DataRange, Tensor, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::interning::{Name, Shape};
use crate::nf4::TailLayout;

/// The plan of a conversion: everything that is decided before the first weight is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The files of the output with their final headers: one, unless it is split. Tensor offsets are relative to the
    /// concatenation of all files.
    pub shards: Vec<Shard>,
    /// The tensors in output order.
    pub tensors: Vec<PlannedTensor>,
    /// The size of the whole output.
    pub size: u64,
    /// For bitsandbytes' formats: what their readers need in addition to dtypes and positions.
    pub bnb: Option<BnbLayout>,
    /// The importance that applies, after including and excluding weights.
    pub(super) importance: Option<ImportanceMatrix>,
}

/// The additional part of a plan for bitsandbytes' formats.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BnbLayout {
    /// The data that follows the codes of each quantized tensor.
    pub layout: TailLayout,
    /// The modules that are not quantized, as listed in `config.json`.
    pub skipped: Vec<String>,
}

/// The conversion of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTensor {
    /// The name in the output.
    pub name: Name,
    /// The name in the input, which differs if layers are pruned and the following ones renumbered.
    pub source_name: Name,
    /// The dtype in the input.
    pub from: TensorType,
    /// The dtype in the output.
    pub to: TensorType,
    /// The reason for the dtype, including the fallback if there was one.
    pub why: Name,
    /// The shape, with the row length first.
    pub shape: Shape,
    /// The number of rows: the product of all dimensions but the first.
    pub rows: u64,
    /// Weights per row.
    pub row_length: u64,
    /// Rows per attention head if their halves are interleaved during the conversion; 0 otherwise.
    pub permuted_head_rows: u64,
    /// Start of the data in the input, in bytes.
    pub source_offset: u64,
    /// Size of the data in the input, in bytes.
    pub source_bytes: u64,
    /// The position in the output: offset, size, and size with padding.
    pub place: DataRange,
    /// Whether llama-quantize requires importance for this tensor.
    pub needs_importance: bool,
    /// Whether importance will be used for this tensor.
    pub has_importance: bool,
}

impl PlannedTensor {
    /// The number of weights.
    pub fn weights(&self) -> u64 {
        self.rows.saturating_mul(self.row_length)
    }

    /// The number of weights per matrix: all of them, unless the tensor is a stack of matrices (experts).
    pub fn weights_per_matrix(&self) -> u64 {
        rows_per_matrix(&self.shape, self.rows).saturating_mul(self.row_length)
    }

    /// Size of the data in the output in bytes, without padding.
    pub(super) fn target_bytes(&self) -> u64 {
        self.to.size_of(self.weights()).unwrap_or(0)
    }

    /// A tensor of a plan for bitsandbytes' formats: its dtypes in the input and in the output, and its source offset
    /// and size.
    pub(crate) fn of_bnb(
        name: Name,
        [from, to]: [TensorType; 2],
        why: Name,
        shape: Shape,
        [source_offset, source_bytes]: [u64; 2],
        place: DataRange,
    ) -> Self {
        PlannedTensor {
            source_name: name.clone(),
            name,
            from,
            to,
            why,
            rows: shape.iter().skip(1).fold(1, |rows, n| rows.saturating_mul(*n)),
            row_length: shape.first().copied().unwrap_or(1),
            shape,
            permuted_head_rows: 0,
            source_offset,
            source_bytes,
            place,
            needs_importance: false,
            has_importance: false,
        }
    }

    /// A tensor under its own name, without importance. Its position is set when all sizes are known.
    pub(super) fn of(tensor: &Tensor, to: TensorType, why: Name) -> Self {
        PlannedTensor {
            name: tensor.name.clone(),
            source_name: tensor.name.clone(),
            from: tensor.stored_dtype,
            to,
            why,
            shape: tensor.shape.clone(),
            rows: tensor.rows(),
            row_length: tensor.row_length(),
            permuted_head_rows: tensor.permuted_head_rows,
            source_offset: tensor.offset,
            source_bytes: tensor.bytes,
            place: DataRange { offset: 0, bytes: 0, padded: 0 },
            needs_importance: false,
            has_importance: false,
        }
    }
}

impl Plan {
    /// A plan for a file in bitsandbytes' formats.
    pub(crate) fn of_bnb(header: Vec<u8>, tensors: Vec<PlannedTensor>, size: u64, bnb: BnbLayout) -> Plan {
        let shards = vec![Shard { header, offset: 0, size }];
        Plan { shards, tensors, size, bnb: Some(bnb), importance: None }
    }

    /// The header of the first file, which has all metadata.
    pub fn header(&self) -> &[u8] {
        self.shards.first().map_or(&[], |shard| &shard.header)
    }

    /// The importance of a tensor's columns: one value per column, for each expert (`shape[2]`) in turn.
    pub fn importance(&self, index: usize) -> Option<&[f32]> {
        let tensor = self.tensors.get(index).filter(|tensor| tensor.has_importance)?;
        let entry = self.importance.as_ref()?.get(tensor.source_name.as_str())?;
        Some(&entry.values)
    }
}

/// One file of the output.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shard {
    /// The header, padded to where tensor data begins. It can be written first, because it never changes later.
    pub header: Vec<u8>,
    /// Start of the file in the concatenation of all files.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Shard {
    /// Start of the next file.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}
