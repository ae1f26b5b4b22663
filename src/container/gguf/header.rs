//! The parsed header of a GGUF file.

use super::limits::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT};
use super::tensor_type::TensorType;
use super::value::{Value, ValueType, read, whole};
use crate::container::reader::Reader;
use crate::interning::{Interner, Name, Shape};
use std::ops::Range;

/// A parsed header, together with the bytes it was parsed from.
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

/// The position of a metadata pair in the header.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub key: String,
    pub value_type: ValueType,
    pub whole: Range<usize>,
    pub value: Range<usize>,
}

/// One metadata pair.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct KeyValue<'a> {
    /// The key.
    pub key: &'a str,
    /// The type of the value.
    pub value_type: ValueType,
    /// The whole pair as stored in the file: key, type and value.
    pub raw: &'a [u8],
    value: &'a [u8],
}

impl<'a> KeyValue<'a> {
    /// The value.
    pub fn value(&self) -> Value<'a> {
        let mut reader: Reader<'a> = whole(self.value);
        // Cannot fail, because the parser has already read the value; the empty string is a harmless fallback.
        read(&mut reader, self.value_type, 0).unwrap_or(Value::String(&[]))
    }
}

/// One tensor's entry in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tensor {
    /// The name, unique in the file.
    pub name: Name,
    /// One to four dimensions, all nonzero. The first is the row length.
    pub shape: Shape,
    /// The dtype of the tensor.
    pub dtype: TensorType,
    /// The dtype in the source file if the tensor is converted from another container; otherwise equal to `dtype`.
    pub stored_dtype: TensorType,
    /// Rows per attention head if the two halves of each head's rows have to be interleaved on reading; 0 otherwise.
    pub permuted_head_rows: u64,
    /// Start of the data, in bytes from the start of the file.
    pub offset: u64,
    /// Size of the data in bytes.
    pub bytes: u64,
}

impl Tensor {
    /// The number of weights per row.
    pub fn row_length(&self) -> u64 {
        self.dimension(0)
    }

    /// The number of rows: the product of all dimensions but the first.
    pub fn rows(&self) -> u64 {
        // The parser has checked that the product of all dimensions fits.
        self.shape.iter().skip(1).fold(1, |rows, n| rows.saturating_mul(*n))
    }

    /// The size of dimension `index`, or 1 beyond the last: ggml's `ne`.
    pub fn dimension(&self, index: usize) -> u64 {
        self.shape.get(index).copied().unwrap_or(1)
    }

    /// The number of dimensions, not counting trailing ones: ggml's `ggml_n_dims`.
    pub fn dimensions(&self) -> usize {
        self.shape.iter().rposition(|n| *n > 1).map_or(1, |last| last.saturating_add(1))
    }
}

impl Header {
    /// Builds a header for a model from another container. Tensor offsets refer to that container.
    pub fn imported(pairs: &[(String, Value)], mut tensors: Vec<Tensor>, file_size: u64) -> Header {
        let mut shapes = Interner::default();
        tensors.iter_mut().for_each(|tensor| tensor.shape = shapes.intern(&tensor.shape));
        let mut bytes = Vec::new();
        let pairs = pairs.iter().map(|(key, value)| {
            let start = bytes.len();
            bytes.extend(super::write::encode_pair(key, value));
            let end = bytes.len();
            // The value is preceded by the key's length, the key and the type.
            let at = start.saturating_add(key.len()).saturating_add(12);
            Pair { key: key.clone(), value_type: value.value_type(), whole: start..end, value: at..end }
        });
        let pairs = pairs.collect();
        let (version, alignment, shards) = (3, DEFAULT_ALIGNMENT, Vec::new());
        Header { bytes, version, alignment, file_size, data_start: 0, pairs, tensors, shards }
    }

    /// The GGUF version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The alignment of tensor data in bytes.
    pub fn alignment(&self) -> u32 {
        self.alignment
    }

    /// The size of the whole file in bytes.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The offset at which tensor data begins, after the header and its padding.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// The metadata pairs, in file order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = KeyValue<'_>> {
        self.pairs.iter().map(|pair| self.view(pair))
    }

    /// The value of a metadata key.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.pairs.iter().find(|pair| pair.key == key).map(|pair| self.view(pair).value())
    }

    /// The tensors, in file order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    fn view<'a>(&'a self, pair: &'a Pair) -> KeyValue<'a> {
        // These ranges refer to these bytes, as constructed by the parser.
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or(&[]);
        KeyValue { key: &pair.key, value_type: pair.value_type, raw: at(&pair.whole), value: at(&pair.value) }
    }

    /// The alignment stated in the metadata, not validated.
    pub(super) fn stated_alignment(&self) -> Result<u64, Value<'_>> {
        match self.get(ALIGNMENT_KEY) {
            None => Ok(DEFAULT_ALIGNMENT.into()),
            Some(Value::U32(x)) => Ok(x.into()),
            Some(other) => Err(other),
        }
    }
}
