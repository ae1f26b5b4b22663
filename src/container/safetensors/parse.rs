//! Bytes to a [`SafetensorsHeader`].

use super::{MAX_DIMS, MAX_HEADER_BYTES};
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::json::{self, Value};
use crate::order::sorted;
use std::collections::HashSet;

/// What a header says.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetensorsHeader {
    /// `__metadata__`, in its order.
    pub metadata: Vec<(String, String)>,
    /// The tensors, in the order of the header.
    pub tensors: Vec<SafetensorsTensor>,
    /// Where tensor data begins.
    pub data_start: u64,
}

/// One tensor's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetensorsTensor {
    /// The name, unique in the file.
    pub name: String,
    /// How the weights are stored; one weight per block.
    pub kind: TensorType,
    /// The extents, the row length last; none for a scalar.
    pub shape: Vec<u64>,
    /// Where its bytes begin, counted from the start of the file.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What [`parse`] has to say.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// The header.
    Header(Box<SafetensorsHeader>),
    /// So many of the file's first bytes are needed.
    NeedsMore(u64),
}

/// Whether these first bytes are a safetensors file's: a length that can be, and an opening brace.
pub fn is_safetensors(prefix: &[u8]) -> bool {
    length(prefix).is_some_and(|length| length <= MAX_HEADER_BYTES) && prefix.get(8) == Some(&b'{')
}

fn length(prefix: &[u8]) -> Option<u64> {
    prefix.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Reads the header of a file of `file_size` bytes from its first bytes.
///
/// # Errors
/// - [`Code::TRUNCATED`]: the file ends inside the header or the data.
/// - [`Code::TOO_LARGE`]: the header is beyond [`MAX_HEADER_BYTES`], or a tensor has more than [`MAX_DIMS`] dimensions.
/// - [`Code::MAGIC`]: the header is no JSON object.
/// - [`Code::UNSUPPORTED`]: a dtype that is not read.
/// - [`Code::MALFORMED`]: not JSON; a name twice; a shape, dtype and range that do not agree; bytes that two tensors share
///   or that none has.
pub fn parse(prefix: &[u8], file_size: u64) -> Result<Parsed> {
    let truncated = |needed: u64| {
        let message =
            format!("the file ends in its header: it has {file_size} bytes, and at least {needed} are needed");
        Error::new(Code::TRUNCATED, message).with("size", file_size).with("needed", needed)
    };
    if file_size < 8 {
        return Err(truncated(8));
    }
    let Some(length) = length(prefix) else { return Ok(Parsed::NeedsMore(8)) };
    if length > MAX_HEADER_BYTES {
        let message = format!("the header claims {length} bytes, and {MAX_HEADER_BYTES} is the limit");
        return Err(Error::new(Code::TOO_LARGE, message).with("length", length).with("limit", MAX_HEADER_BYTES));
    }
    let data_start = length.saturating_add(8);
    if data_start > file_size {
        return Err(truncated(data_start));
    }
    let Some(text) = usize::try_from(data_start).ok().and_then(|end| prefix.get(8..end)) else {
        return Ok(Parsed::NeedsMore(data_start));
    };
    if text.first() != Some(&b'{') {
        return Err(Error::new(Code::MAGIC, "this is no safetensors file: its header is no JSON object"));
    }
    let json = json::parse(text, "the header")?;
    let mut header = SafetensorsHeader { metadata: Vec::new(), tensors: Vec::new(), data_start };
    let mut names = HashSet::new();
    for (name, value) in json.as_object().unwrap_or(&[]) {
        if !names.insert(name.as_str()) {
            let message = format!("'{name}' is in the header twice");
            return Err(Error::new(Code::MALFORMED, message).with("name", name.as_str()));
        }
        if name == "__metadata__" {
            header.metadata = metadata(value)?;
        } else {
            let placed = |error: Error| error.within(&format!("tensor '{name}'")).with("tensor", name.as_str());
            header.tensors.push(tensor(name, value, data_start).map_err(placed)?);
        }
    }
    check_places(&header, file_size)?;
    Ok(Parsed::Header(Box::new(header)))
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(Code::MALFORMED, message)
}

fn metadata(value: &Value) -> Result<Vec<(String, String)>> {
    let members = value.as_object().ok_or_else(|| malformed("__metadata__ is no object"))?;
    let texts = members.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect::<Option<_>>().ok_or_else(|| malformed("__metadata__ holds what is no string"))
}

fn tensor(name: &str, value: &Value, data_start: u64) -> Result<SafetensorsTensor> {
    if name.is_empty() {
        return Err(malformed("it has no name"));
    }
    let dtype = value.get("dtype").and_then(Value::as_str).ok_or_else(|| malformed("it has no dtype"))?;
    let kind = TensorType::of_dtype(dtype)?;
    let shape = counts(value, "shape")?;
    if shape.len() > MAX_DIMS {
        let message = format!("it has {} dimensions, and {MAX_DIMS} is the limit", shape.len());
        return Err(Error::new(Code::TOO_LARGE, message).with("limit", MAX_DIMS));
    }
    let offsets = counts(value, "data_offsets")?;
    let &[begin, end] = offsets.as_slice() else {
        return Err(malformed(format!("data_offsets are {} numbers, and two are needed", offsets.len())));
    };
    let Some(bytes) = end.checked_sub(begin) else {
        return Err(malformed(format!("its data ends at {end}, before it begins at {begin}")));
    };
    let weights = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
    let expected = weights.and_then(|weights| kind.size_of(weights));
    let Some(expected) = expected.filter(|expected| i64::try_from(*expected).is_ok()) else {
        let message = format!("its shape {shape:?} has more weights than a file can hold");
        return Err(Error::new(Code::TOO_LARGE, message));
    };
    if bytes != expected {
        let message = format!("{dtype} of shape {shape:?} takes {expected} bytes, and data_offsets span {bytes}");
        return Err(malformed(message).with("actual", bytes).with("expected", expected));
    }
    Ok(SafetensorsTensor { name: name.to_owned(), kind, shape, offset: data_start.saturating_add(begin), bytes })
}

fn counts(value: &Value, name: &str) -> Result<Vec<u64>> {
    let list = value.get(name).and_then(Value::as_list);
    let counts = list.and_then(|list| list.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
    counts.ok_or_else(|| malformed(format!("its {name} is no list of whole numbers")))
}

/// Every byte of the data belongs to exactly one tensor.
fn check_places(header: &SafetensorsHeader, file_size: u64) -> Result<()> {
    let tensors: Vec<&SafetensorsTensor> = header.tensors.iter().collect();
    let order = sorted(&tensors, |a, b| (a.offset, a.bytes).cmp(&(b.offset, b.bytes)));
    let mut at = header.data_start;
    for tensor in order {
        let (name, offset) = (&tensor.name, tensor.offset);
        if offset < at {
            let message = format!("tensor '{name}' begins at byte {offset}, inside another that ends at {at}");
            return Err(malformed(message).with("tensor", name.as_str()));
        }
        if offset > at {
            let message = format!("bytes {at} to {offset}, before tensor '{name}', belong to no tensor");
            return Err(malformed(message).with("tensor", name.as_str()));
        }
        at = at.saturating_add(tensor.bytes);
    }
    if at > file_size {
        let message = format!("the tensors end at byte {at}, and the file has {file_size} bytes");
        return Err(Error::new(Code::TRUNCATED, message).with("size", file_size).with("needed", at));
    }
    if at < file_size {
        return Err(malformed(format!("bytes {at} to {file_size}, at the end, belong to no tensor")));
    }
    Ok(())
}
