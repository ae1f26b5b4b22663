//! The legacy `.dat` format.
//!
//! ```text
//! i32 entries
//! { i32 length, name[length], i32 calls, i32 values, f32 values[] }     each value summed over the calls
//! i32 chunks, i32 length, dataset[length]                               optional
//! ```
//!
//! An importance is the value divided by the number of calls, in single precision, or the value itself if that number
//! is 0.
//! Source: llama.cpp `common/imatrix-loader.cpp`, `tools/quantize/quantize.cpp`.

use super::{Entry, ImportanceMatrix, MAX_ENTRIES, MAX_VALUES};
use crate::container::reader::{Read, Reader, Stop};
use crate::error::{Code, Error, Result};

pub(super) fn parse(bytes: &[u8]) -> Result<ImportanceMatrix> {
    let mut reader = Reader::new(bytes, bytes.len() as u64, u64::MAX, "the importance matrix");
    match matrix(&mut reader) {
        Ok(matrix) => Ok(matrix),
        Err(Stop::Failed(error)) => Err(error),
        // Unreachable, because all bytes were given.
        Err(Stop::More(needed)) => {
            Err(Error::new(Code::TRUNCATED, format!("the importance matrix needs {needed} bytes"))
                .with("needed", needed))
        }
    }
}

fn matrix(reader: &mut Reader) -> Read<ImportanceMatrix> {
    let mut matrix = ImportanceMatrix::default();
    let count = positive(reader.i32()?, MAX_ENTRIES, "entries")?;
    for _ in 0..count {
        let name = text(reader)?;
        let calls = reader.i32()?;
        let len = positive(reader.i32()?, MAX_VALUES, "values in an entry")?;
        let bytes = reader.take(len.saturating_mul(4))?;
        let divisor = if calls > 0 { calls as f32 } else { 1.0 };
        let values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes) / divisor).collect();
        // A later entry of the same name replaces the earlier one, as in the reference.
        matrix.entries.insert(name, Entry { values, counts: vec![calls.into()] });
    }
    if !reader.is_at_end() {
        // The rest is optional: if the file ends within it, it is treated as missing.
        let mut rest = reader.fork();
        if let Ok(chunks) = rest.i32() {
            matrix.chunks = Some(chunks);
            matrix.datasets.extend(text(&mut rest).ok().filter(|name| !name.is_empty()));
        }
    }
    Ok(matrix)
}

fn positive(claimed: i32, limit: u64, what: &str) -> Result<u64> {
    match u64::try_from(claimed) {
        Ok(count) if count > limit => {
            let message = format!("the importance matrix claims {count} {what}; the limit is {limit}");
            Err(Error::new(Code::TOO_LARGE, message).with("count", count).with("limit", limit))
        }
        Ok(count) if count > 0 => Ok(count),
        _ => {
            let message = format!("this is not an importance matrix: it claims {claimed} {what}");
            Err(Error::new(Code::MALFORMED, message).with("count", f64::from(claimed)))
        }
    }
}

/// A name, up to its first zero byte if there is one.
fn text(reader: &mut Reader) -> Read<String> {
    let claimed = reader.i32()?;
    let len = u64::try_from(claimed).map_err(|_| {
        let message = format!("this is not an importance matrix: it claims a name of {claimed} bytes");
        Error::new(Code::MALFORMED, message).with("length", f64::from(claimed))
    })?;
    let bytes = reader.take(len)?;
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or(bytes);
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
