//! What a parsed header knows.

use super::value::{Value, ValueType, read, whole};
use super::{DEFAULT_ALIGNMENT, TensorType};
use crate::container::reader::Reader;
use std::ops::Range;

/// A parsed header, with the bytes it was parsed from.
#[derive(Clone, Debug)]
pub struct Header {
    pub(super) bytes: Vec<u8>,
    pub(super) version: u32,
    pub(super) alignment: u32,
    pub(super) file_size: u64,
    pub(super) data_start: u64,
    pub(super) pairs: Vec<Pair>,
    pub(super) tensors: Vec<Tensor>,
    pub(super) shards: Vec<u64>,
}

/// Where a pair stands in the header.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub key: String,
    pub kind: ValueType,
    pub whole: Range<usize>,
    pub value: Range<usize>,
}

/// One metadata pair.
#[derive(Clone, Copy, Debug)]
pub struct KeyValue<'a> {
    /// The key.
    pub key: &'a str,
    /// The type of the value.
    pub kind: ValueType,
    /// The whole pair as the file has it: key, type and value.
    pub raw: &'a [u8],
    value: &'a [u8],
}

impl<'a> KeyValue<'a> {
    /// The value.
    pub fn value(&self) -> Value<'a> {
        let mut reader: Reader<'a> = whole(self.value);
        // The parser has read it once, so this cannot fail; an empty string would be the harmless answer.
        read(&mut reader, self.kind, 0).unwrap_or(Value::String(&[]))
    }
}

/// One tensor's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The name, unique in the file.
    pub name: String,
    /// One to four dimensions, none of them zero; the first is the row length.
    pub shape: Vec<u64>,
    /// How the weights are stored.
    pub kind: TensorType,
    /// How its bytes are stored where it was converted from another container; there the same as `kind`.
    pub stored: TensorType,
    /// Rows of one attention head whose halves are to be interleaved when it is read; 0 where rows stay as they are.
    pub head_rows: u64,
    /// Where its bytes begin, counted from the start of the file.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Tensor {
    /// Weights per row.
    pub fn row_length(&self) -> u64 {
        self.dimension(0)
    }

    /// How many rows there are, over all further dimensions.
    pub fn rows(&self) -> u64 {
        // The parser has checked that the product of all dimensions fits.
        self.shape.iter().skip(1).fold(1, |rows, n| rows.saturating_mul(*n))
    }

    /// Dimension `index`, 1 beyond the last: ggml's `ne`.
    pub fn dimension(&self, index: usize) -> u64 {
        self.shape.get(index).copied().unwrap_or(1)
    }

    /// The number of dimensions without trailing ones: ggml's `ggml_n_dims`.
    pub fn dimensions(&self) -> usize {
        self.shape.iter().rposition(|n| *n > 1).map_or(1, |last| last.saturating_add(1))
    }
}

impl Header {
    /// A header that no file has: what another container's model is as GGUF. Offsets point into that container.
    pub fn made(pairs: &[(String, Value)], tensors: Vec<Tensor>, file_size: u64) -> Header {
        let mut bytes = Vec::new();
        let pairs = pairs.iter().map(|(key, value)| {
            let start = bytes.len();
            bytes.extend(super::write::encode_pair(key, value));
            let end = bytes.len();
            // Length, key and type come before the value.
            let at = start.saturating_add(key.len()).saturating_add(12);
            Pair { key: key.clone(), kind: value.kind(), whole: start..end, value: at..end }
        });
        let pairs = pairs.collect();
        let (version, alignment, shards) = (3, DEFAULT_ALIGNMENT, Vec::new());
        Header { bytes, version, alignment, file_size, data_start: 0, pairs, tensors, shards }
    }

    /// The version the file states, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// To what multiple tensors are placed.
    pub fn alignment(&self) -> u32 {
        self.alignment
    }

    /// The size of the whole file.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Where tensor data begins; what is before it is the header, padding included.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// The metadata, in file order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = KeyValue<'_>> {
        self.pairs.iter().map(|pair| self.view(pair))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.pairs.iter().find(|pair| pair.key == key).map(|pair| self.view(pair).value())
    }

    /// The tensors, in file order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    fn view<'a>(&'a self, pair: &'a Pair) -> KeyValue<'a> {
        // The parser made these ranges from these bytes.
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or(&[]);
        KeyValue { key: &pair.key, kind: pair.kind, raw: at(&pair.whole), value: at(&pair.value) }
    }

    /// The alignment its metadata asks for, unchecked.
    pub(super) fn stated_alignment(&self) -> Result<u64, Value<'_>> {
        match self.get(super::ALIGNMENT_KEY) {
            None => Ok(DEFAULT_ALIGNMENT.into()),
            Some(Value::U32(x)) => Ok(x.into()),
            Some(other) => Err(other),
        }
    }
}
