//! The GGUF format: for each tensor `NAME.in_sum2`, the sums of squared activations, and `NAME.counts`, how often each
//! expert was run.
//!
//! An importance is the sum divided by the count of its expert, in single precision; an expert that was never run has
//! importance 1. Source: llama.cpp `common/imatrix-loader.cpp`, `tools/quantize/quantize.cpp`.

use super::{Entry, ImportanceMatrix, MAX_VALUES};
use crate::container::gguf::{Header, Parsed, Tensor, TensorType, Value, parse as parse_gguf};
use crate::error::{Code, Error, Result};
use crate::sort::sorted;

const DATASETS: &str = "imatrix.datasets";
const CHUNKS: &str = "imatrix.chunk_count";
const CHUNK_SIZE: &str = "imatrix.chunk_size";

pub(super) fn parse(bytes: &[u8]) -> Result<ImportanceMatrix> {
    let header = match parse_gguf(bytes, bytes.len() as u64)? {
        Parsed::Header(header) => header,
        // Unreachable, because all bytes were given.
        Parsed::NeedsMore(needed) => {
            return Err(Error::new(Code::TRUNCATED, format!("the importance matrix needs {needed} bytes")));
        }
    };
    if let Some(missing) = [DATASETS, CHUNKS, CHUNK_SIZE].iter().find(|key| header.get(key).is_none()) {
        let message = format!("this GGUF file is not an importance matrix: it has no '{missing}'");
        return Err(Error::new(Code::MALFORMED, message).with("key", *missing));
    }
    let mut halves: Vec<(&str, usize, &Tensor)> = Vec::new();
    for tensor in header.tensors() {
        if let Some(name) = tensor.name.strip_suffix(".in_sum2") {
            halves.push((name, 0, tensor));
        } else if let Some(name) = tensor.name.strip_suffix(".counts") {
            halves.push((name, 1, tensor));
        }
    }
    let mut matrix = ImportanceMatrix { datasets: datasets(&header), chunks: chunks(&header)?, ..Default::default() };
    for pair in sorted(&halves, |a, b| (a.0, a.1).cmp(&(b.0, b.1))).chunk_by(|a, b| a.0 == b.0) {
        let name = pair.first().map_or("", |half| half.0);
        let &[(_, 0, sums), (_, 1, counts)] = pair else {
            let message = format!("the importance of '{name}' needs both sums and counts, but one of them is missing");
            return Err(Error::new(Code::MALFORMED, message).with("tensor", name));
        };
        let counts: Vec<i64> = floats(bytes, counts)?.iter().map(|count| lround(*count)).collect();
        let values = average(&floats(bytes, sums)?, &counts, name)?;
        matrix.entries.insert(name.to_owned(), Entry { values, counts });
    }
    Ok(matrix)
}

fn datasets(header: &Header) -> Vec<String> {
    let array = header.get(DATASETS).and_then(|value| value.as_array());
    let texts = array.iter().flat_map(|array| array.iter()).filter_map(|value| match value {
        Value::String(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    });
    texts.collect()
}

fn chunks(header: &Header) -> Result<Option<i32>> {
    match header.get(CHUNKS) {
        Some(Value::U32(chunks)) => Ok(Some(chunks as i32)),
        _ => Err(Error::new(Code::MALFORMED, format!("'{CHUNKS}' must be a uint32")).with("key", CHUNKS)),
    }
}

fn floats(bytes: &[u8], tensor: &Tensor) -> Result<Vec<f32>> {
    let Tensor { name, dtype, offset, bytes: len, .. } = tensor;
    if *dtype != TensorType::F32 {
        let message = format!("'{name}' of the importance matrix must be F32, but is {}", dtype.name);
        return Err(Error::new(Code::MALFORMED, message).with("tensor", name.as_str()));
    }
    if len.wrapping_div(4) > MAX_VALUES {
        let message = format!("'{name}' has {len} bytes; the limit is {MAX_VALUES} values");
        return Err(Error::new(Code::TOO_LARGE, message).with("tensor", name.as_str()));
    }
    let range = usize::try_from(*offset).ok().zip(usize::try_from(offset.saturating_add(*len)).ok());
    // The parser has checked that the tensor lies within the file.
    let data = range.and_then(|(start, end)| bytes.get(start..end)).unwrap_or(&[]);
    Ok(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// C's `lround`: rounds ties away from zero.
fn lround(x: f32) -> i64 {
    x.round() as i64
}

fn average(sums: &[f32], counts: &[i64], name: &str) -> Result<Vec<f32>> {
    let per_expert = sums.len().checked_div(counts.len()).unwrap_or(0);
    if per_expert == 0 || per_expert.checked_mul(counts.len()) != Some(sums.len()) {
        let (sums, counts) = (sums.len(), counts.len());
        let message =
            format!("the importance of '{name}' has {sums} sums, which is not a multiple of its {counts} counts");
        return Err(Error::new(Code::MALFORMED, message).with("tensor", name));
    }
    let experts = sums.chunks_exact(per_expert).zip(counts);
    Ok(experts
        .flat_map(|(sums, count)| {
            let count = *count as f32;
            sums.iter().map(move |sum| if count > 0.0 { sum / count } else { 1.0 })
        })
        .collect())
}
