//! Serialization of a header that was built from another container, to pass it to another instance of the engine.

use super::header::{Header, Pair, Tensor};
use super::limits::DEFAULT_ALIGNMENT;
use super::tensor_type::TensorType;
use super::value::ValueType;
use crate::error::Result;
use crate::interning::Interner;
use crate::serialization::{Reader, Writer};

const TAG: [u8; 4] = *b"QPHD";
const VERSION: u8 = 1;

impl Header {
    /// Serializes a header built by [`Header::imported`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(TAG, VERSION);
        out.u64(self.file_size).bytes(&self.bytes).count(self.pairs.len());
        for Pair { key, value_type, whole, value } in &self.pairs {
            out.text(key).u8(value_type.id as u8).count(whole.start).count(value.start).count(value.end);
        }
        out.count(self.tensors.len());
        for Tensor { name, shape, dtype, stored_dtype, permuted_head_rows, offset, bytes } in &self.tensors {
            out.text(name).u64s(shape).u8(dtype.index()).u8(stored_dtype.index());
            out.u64(*permuted_head_rows).u64(*offset).u64(*bytes);
        }
        out.finish()
    }

    /// Reads a serialized header.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn from_bytes(serialized: &[u8]) -> Result<Header> {
        let mut input = Reader::new(serialized, TAG, VERSION, "a header")?;
        let (file_size, bytes) = (input.u64()?, input.bytes()?);
        let mut pairs = Vec::new();
        for _ in 0..input.count()? {
            let (key, value_type) = (input.text()?, input.choice(ValueType::ALL, "value type")?);
            let (start, value, end) = (input.count()?, input.count()?, input.count()?);
            if !(start <= value && value <= end && end <= bytes.len()) {
                return Err(input.malformed(format!("the pair '{key}' at {start}..{end}")));
            }
            pairs.push(Pair { key, value_type, whole: start..end, value: value..end });
        }
        let (mut shapes, mut tensors) = (Interner::default(), Vec::new());
        for _ in 0..input.count()? {
            let (name, shape) = (input.text()?.into(), shapes.intern(input.u64s()?.as_slice()));
            let mut dtype = || {
                let index = input.u8()?;
                TensorType::at(index).ok_or_else(|| input.malformed(format!("tensor type {index}")))
            };
            let (dtype, stored_dtype) = (dtype()?, dtype()?);
            let (permuted_head_rows, offset, bytes) = (input.u64()?, input.u64()?, input.u64()?);
            tensors.push(Tensor { name, shape, dtype, stored_dtype, permuted_head_rows, offset, bytes });
        }
        input.finish()?;
        let (version, alignment, shards) = (3, DEFAULT_ALIGNMENT, Vec::new());
        Ok(Header { bytes, version, alignment, file_size, data_start: 0, pairs, tensors, shards })
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{Array, Value, array_items};
    use super::*;

    fn header() -> Header {
        let items = array_items(ValueType::STRING, &[Value::String(b"a"), Value::String(b"")]).unwrap();
        let pairs = [
            ("general.architecture".to_owned(), Value::String(b"llama")),
            ("tokens".to_owned(), Value::Array(Array { element: ValueType::STRING, len: 2, items: &items })),
            ("x".to_owned(), Value::F32(0.5)),
        ];
        let tensor = |name: &str, dtype, permuted_head_rows| Tensor {
            name: name.into(),
            shape: [32, 2].as_slice().into(),
            dtype,
            stored_dtype: TensorType::F8_E4M3,
            permuted_head_rows,
            offset: 1 << 40,
            bytes: 64,
        };
        Header::imported(&pairs, vec![tensor("a", TensorType::F16, 0), tensor("b", TensorType::NF4, 8)], 1 << 41)
    }

    #[test]
    fn a_header_reads_back_as_written() {
        let header = header();
        let read = Header::from_bytes(&header.to_bytes()).unwrap();
        assert_eq!((read.tensors(), read.file_size()), (header.tensors(), header.file_size()));
        assert_eq!((read.version(), read.alignment(), read.data_start()), (3, DEFAULT_ALIGNMENT, 0));
        let pairs = |header: &Header| -> Vec<String> {
            header.metadata().map(|pair| format!("{} {:?} {:?}", pair.key, pair.raw, pair.value())).collect()
        };
        assert_eq!(pairs(&read), pairs(&header));
        assert_eq!(read.get("x"), Some(Value::F32(0.5)));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = header().to_bytes();
        for length in 0..bytes.len() {
            assert!(Header::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0xff;
            // Never a panic; names and numbers may differ.
            let _ = Header::from_bytes(&damaged);
        }
    }
}
