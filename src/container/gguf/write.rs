//! Writes GGUF headers.

use super::limits::{MAGIC, align};
use super::tensor_type::TensorType;
use super::value::{Value, write_string};
use crate::error::{Code, Error, Result};

/// A tensor record to be written, without its offset.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// The name.
    pub name: &'a str,
    /// The shape, written as it is.
    pub shape: &'a [u64],
    /// The dtype of the tensor.
    pub dtype: TensorType,
}

/// A complete header and the positions of all tensors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeaderLayout {
    /// The header's bytes, padded to where tensor data begins.
    pub header: Vec<u8>,
    /// For each record, the position of its data in the file.
    pub places: Vec<DataRange>,
    /// The size of the whole file in bytes.
    pub size: u64,
}

/// The position of a tensor's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    /// Offset in bytes from the start of the file.
    pub offset: u64,
    /// Size in bytes, without padding.
    pub bytes: u64,
    /// Size including the zero padding after it, which the last tensor has too.
    pub padded: u64,
}

/// Encodes a metadata pair as stored in files.
pub fn encode_pair(key: &str, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_string(key.as_bytes(), &mut out);
    out.extend(value.value_type().id.to_le_bytes());
    value.write(&mut out);
    out
}

/// Writes a version 3 header. `pairs` are encoded by [`encode_pair`] or copied from
/// [`KeyValue::raw`](super::KeyValue::raw); `records` are in the order of the tensors' data.
///
/// `alignment` must be a power of two and match the pairs' `general.alignment`.
///
/// # Errors
/// [`Code::LENGTH`] for rows that are not a multiple of the block size, [`Code::TOO_LARGE`] for a file of 2^63 bytes or
/// more.
pub fn write_header(pairs: &[impl AsRef<[u8]>], records: &[Record], alignment: u32) -> Result<HeaderLayout> {
    let mut writer = HeaderWriter::new(pairs, records.iter().cloned(), alignment);
    let mut places = records.iter().map(|record| writer.add(record)).collect::<Result<Vec<_>>>()?;
    let (header, size) = writer.finish()?;
    for place in &mut places {
        place.offset = place.offset.saturating_add(header.len() as u64);
    }
    Ok(HeaderLayout { header, places, size })
}

/// Writes a header record by record, without a list of all records or places.
#[derive(Debug)]
pub(crate) struct HeaderWriter {
    header: Vec<u8>,
    alignment: u32,
    offset: u64,
}

impl HeaderWriter {
    /// Writes everything before the records. The records are only counted and measured here.
    pub fn new<'a>(
        pairs: &[impl AsRef<[u8]>],
        records: impl ExactSizeIterator<Item = Record<'a>>,
        alignment: u32,
    ) -> HeaderWriter {
        let count = records.len() as u64;
        let mut len = pairs.iter().map(|pair| pair.as_ref().len()).fold(START_BYTES, usize::saturating_add);
        records.for_each(|record| len = len.saturating_add(record_bytes(&record)));
        // The exact size, so that a long header is not copied as it grows.
        let mut header = Vec::with_capacity(usize::try_from(align(len as u64, alignment)).unwrap_or(len));
        header.extend(MAGIC);
        header.extend(3u32.to_le_bytes());
        header.extend(count.to_le_bytes());
        header.extend((pairs.len() as u64).to_le_bytes());
        for pair in pairs {
            header.extend(pair.as_ref());
        }
        HeaderWriter { header, alignment, offset: 0 }
    }

    /// Writes the next record. The returned offset is relative to the end of the header, where tensor data begins.
    ///
    /// # Errors
    /// [`Code::LENGTH`] and [`Code::TOO_LARGE`], as [`write_header`].
    pub fn add(&mut self, record: &Record) -> Result<DataRange> {
        let (offset, bytes) = (self.offset, stored_bytes(record)?);
        let padded = align(bytes, self.alignment);
        write_record(record, offset, &mut self.header);
        self.offset = offset.saturating_add(padded);
        Ok(DataRange { offset, bytes, padded })
    }

    /// The header, padded to where tensor data begins, and the size of the whole file.
    ///
    /// # Errors
    /// [`Code::TOO_LARGE`], as [`write_header`].
    pub fn finish(self) -> Result<(Vec<u8>, u64)> {
        let HeaderWriter { mut header, alignment, offset } = self;
        let start = align(header.len() as u64, alignment);
        // Bounded: the alignment is at most MAX_ALIGNMENT.
        header.resize(usize::try_from(start).unwrap_or(header.len()), 0);
        let size = start.saturating_add(offset);
        if i64::try_from(size).is_err() {
            return Err(Error::new(Code::TOO_LARGE, format!("the file would have {size} bytes")).with("size", size));
        }
        Ok((header, size))
    }
}

/// Bytes before the pairs: the magic, the version, and the numbers of records and pairs.
const START_BYTES: usize = 4 + 4 + 8 + 8;

/// The size of what [`write_record`] writes: the name and the shape, each with its length, the type and the offset.
fn record_bytes(record: &Record) -> usize {
    let shape = record.shape.len().max(1).saturating_mul(8);
    record.name.len().saturating_add(shape).saturating_add(8 + 4 + 4 + 8)
}

fn stored_bytes(record: &Record) -> Result<u64> {
    let Record { name, shape, dtype } = record;
    let row = shape.first().copied().unwrap_or(1);
    if !row.is_multiple_of(dtype.weights) {
        let message = format!(
            "tensor '{name}': rows of {row} weights are not a multiple of the block size of {} ({})",
            dtype.weights, dtype.name
        );
        return Err(Error::new(Code::LENGTH, message).with("actual", row).with("expected", dtype.weights));
    }
    let weights = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
    weights.and_then(|weights| dtype.size_of(weights)).ok_or_else(|| {
        Error::new(Code::TOO_LARGE, format!("tensor '{name}' has the shape {shape:?}, which is too large for a file"))
    })
}

fn write_record(record: &Record, offset: u64, out: &mut Vec<u8>) {
    let shape = if record.shape.is_empty() { &[1] } else { record.shape };
    write_string(record.name.as_bytes(), out);
    out.extend((shape.len() as u32).to_le_bytes());
    for n in shape {
        out.extend(n.to_le_bytes());
    }
    out.extend(record.dtype.id.to_le_bytes());
    out.extend(offset.to_le_bytes());
}
