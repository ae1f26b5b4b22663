//! Serialization of a header's metadata and tensors, to pass them to another instance of the engine.

use super::header::{Header, Pair, Tensor};
use super::limits::{DEFAULT_ALIGNMENT, MAX_TENSORS};
use super::tensor_type::TensorType;
use super::value::ValueType;
use crate::error::Result;
use crate::interning::Interner;
use crate::serialization::{Reader, Writer};

const TAG: [u8; 4] = *b"QPHD";
const VERSION: u8 = 1;
/// Tensors in a piece: about 700 kB.
const RUN: usize = 8192;

impl Header {
    /// The number of pieces of a serialized header: one of everything but the tensors, and the tensors in runs.
    pub fn pieces(&self) -> usize {
        self.tensors.len().div_ceil(RUN).saturating_add(1)
    }

    /// Serializes a piece of the header; empty beyond the last. [`HeaderAssembler`] reads them. Version, alignment and
    /// shards of a file are not part of it: they become those of [`Header::imported`].
    pub fn piece(&self, index: usize) -> Vec<u8> {
        let mut out = Writer::new(TAG, VERSION);
        let Some(run) = index.checked_sub(1) else {
            out.u64(self.file_size).bytes(&self.bytes).count(self.pairs.len());
            for Pair { key, value_type, whole, value } in &self.pairs {
                out.text(key).u8(value_type.id as u8).count(whole.start).count(value.start).count(value.end);
            }
            return out.count(self.tensors.len()).finish();
        };
        let tensors = self.tensors.chunks(RUN).nth(run).unwrap_or_default();
        out.count(tensors.len());
        for Tensor { name, shape, dtype, stored_dtype, permuted_head_rows, offset, bytes } in tensors {
            out.text(name).u64s(shape).u8(dtype.index()).u8(stored_dtype.index());
            out.u64(*permuted_head_rows).u64(*offset).u64(*bytes);
        }
        out.finish()
    }
}

/// Reads a header from its pieces in order. Neither side holds the whole serialized header.
#[derive(Debug)]
pub struct HeaderAssembler {
    header: Header,
    missing: usize,
    shapes: Interner<[u64]>,
}

impl HeaderAssembler {
    /// Reads the first piece.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn new(piece: &[u8]) -> Result<HeaderAssembler> {
        let mut input = Reader::new(piece, TAG, VERSION, "a header")?;
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
        let missing = input.count()?;
        input.finish()?;
        let tensors = Vec::with_capacity(missing.min(MAX_TENSORS as usize));
        let (version, alignment, shards) = (3, DEFAULT_ALIGNMENT, Vec::new());
        let header = Header { bytes, version, alignment, file_size, data_start: 0, pairs, tensors, shards };
        Ok(HeaderAssembler { header, missing, shapes: Interner::default() })
    }

    /// Whether all pieces were read.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// As for [`HeaderAssembler::new`].
    pub fn add(&mut self, piece: &[u8]) -> Result<()> {
        let mut input = Reader::new(piece, TAG, VERSION, "the tensors of a header")?;
        let count = input.count()?;
        self.missing = self.missing.checked_sub(count).ok_or_else(|| input.malformed(format!("{count} tensors")))?;
        for _ in 0..count {
            let (name, shape) = (input.text()?.into(), self.shapes.intern(input.u64s()?.as_slice()));
            let mut dtype = || {
                let index = input.u8()?;
                TensorType::at(index).ok_or_else(|| input.malformed(format!("tensor type {index}")))
            };
            let (dtype, stored_dtype) = (dtype()?, dtype()?);
            let (permuted_head_rows, offset, bytes) = (input.u64()?, input.u64()?, input.u64()?);
            self.header.tensors.push(Tensor { name, shape, dtype, stored_dtype, permuted_head_rows, offset, bytes });
        }
        input.finish()
    }

    /// Returns the header.
    pub fn finish(self) -> Header {
        self.header
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
        let read = assemble(&header);
        assert_eq!((read.tensors(), read.file_size()), (header.tensors(), header.file_size()));
        assert_eq!((read.version(), read.alignment(), read.data_start()), (3, DEFAULT_ALIGNMENT, 0));
        let pairs = |header: &Header| -> Vec<String> {
            header.metadata().map(|pair| format!("{} {:?} {:?}", pair.key, pair.raw, pair.value())).collect()
        };
        assert_eq!(pairs(&read), pairs(&header));
        assert_eq!(read.get("x"), Some(Value::F32(0.5)));
    }

    fn assemble(header: &Header) -> Header {
        let mut assembler = HeaderAssembler::new(&header.piece(0)).unwrap();
        for index in 1..header.pieces() {
            assert!(!assembler.is_complete());
            assembler.add(&header.piece(index)).unwrap();
        }
        assert!(assembler.is_complete());
        assembler.finish()
    }

    #[test]
    fn a_header_of_several_runs_reads_back_as_written() {
        let mut header = header();
        header.tensors = header.tensors.iter().cycle().take(2 * RUN + 1).cloned().collect();
        assert_eq!(header.pieces(), 4);
        assert_eq!(assemble(&header).tensors(), header.tensors());
    }

    #[test]
    fn damaged_pieces_are_rejected() {
        let header = header();
        let mut whole = HeaderAssembler::new(&header.piece(0)).unwrap();
        for index in 0..header.pieces() {
            let piece = header.piece(index);
            let read = |bytes: &[u8]| match index {
                0 => HeaderAssembler::new(bytes).map(|_| ()),
                _ => HeaderAssembler::new(&header.piece(0)).unwrap().add(bytes),
            };
            for length in 0..piece.len() {
                assert!(read(&piece[..length]).is_err(), "{index} {length}");
            }
            for at in 0..piece.len() {
                let mut damaged = piece.clone();
                damaged[at] ^= 0xff;
                // Never a panic; names and numbers may differ.
                let _ = read(&damaged);
            }
        }
        whole.add(&header.piece(1)).unwrap();
        assert!(whole.add(&header.piece(1)).is_err(), "more tensors than announced");
    }
}
