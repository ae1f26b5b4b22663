//! Parses the bytes of a safetensors file to a [`SafetensorsHeader`].

use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::interning::{Interner, Name, Shape};
use crate::json::{self, Value};
use crate::sort::sorted;
use std::collections::HashSet;

/// Maximum length of a header: the limit of the reference implementation.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Maximum number of dimensions of a tensor.
pub const MAX_DIMS: usize = 8;

/// A parsed header.
#[derive(Clone, Debug, PartialEq)]
pub struct SafetensorsHeader {
    /// The entries of `__metadata__`, in file order.
    pub metadata: Vec<(String, String)>,
    /// The tensors, in the order of the header.
    pub tensors: Vec<SafetensorsTensor>,
    /// The offset at which tensor data begins.
    pub data_start: u64,
}

/// One tensor's entry in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetensorsTensor {
    /// The name, unique in the file.
    pub name: Name,
    /// The dtype; all have one weight per block.
    pub dtype: TensorType,
    /// The dimensions, with the row length last; empty for a scalar.
    pub shape: Shape,
    /// Start of the data, in bytes from the start of the file.
    pub offset: u64,
    /// Size of the data in bytes.
    pub bytes: u64,
}

/// The result of [`parse`].
#[derive(Clone, Debug)]
pub enum Parsed {
    /// The whole header.
    Header(Box<SafetensorsHeader>),
    /// More data is needed: this many bytes from the start of the file.
    NeedsMore(u64),
}

/// Whether these are the first bytes of a safetensors file: a plausible header length and an opening brace.
pub fn is_safetensors(prefix: &[u8]) -> bool {
    length(prefix).is_some_and(|length| length <= MAX_HEADER_BYTES) && prefix.get(8) == Some(&b'{')
}

fn length(prefix: &[u8]) -> Option<u64> {
    prefix.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Parses the header of a file of `file_size` bytes from its first bytes.
///
/// # Errors
/// - [`Code::TRUNCATED`]: the file ends inside the header or the data.
/// - [`Code::TOO_LARGE`]: the header exceeds [`MAX_HEADER_BYTES`], or a tensor has more than [`MAX_DIMS`] dimensions.
/// - [`Code::MAGIC`]: the header is not a JSON object.
/// - [`Code::UNSUPPORTED`]: a dtype that is not supported.
/// - [`Code::MALFORMED`]: invalid JSON; a duplicate name; a shape, dtype and range that contradict each other; data
///   that belongs to two tensors or to none.
pub fn parse(prefix: &[u8], file_size: u64) -> Result<Parsed> {
    let truncated = |needed: u64| {
        let message = format!("the file ends within its header: it has {file_size} bytes but needs at least {needed}");
        Error::new(Code::TRUNCATED, message).with("size", file_size).with("needed", needed)
    };
    if file_size < 8 {
        return Err(truncated(8));
    }
    let Some(length) = length(prefix) else { return Ok(Parsed::NeedsMore(8)) };
    if length > MAX_HEADER_BYTES {
        let message = format!("the header claims {length} bytes; the limit is {MAX_HEADER_BYTES}");
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
        return Err(Error::new(Code::MAGIC, "this is not a safetensors file: its header is not a JSON object"));
    }
    let tensors = Vec::with_capacity(entries(text));
    let mut header = SafetensorsHeader { metadata: Vec::new(), tensors, data_start };
    let mut names = HashSet::new();
    let mut shapes = Interner::default();
    json::each_member(text, "the header", &mut |name, value| {
        let name = Name::from(name);
        if !names.insert(name.clone()) {
            let message = format!("'{name}' occurs twice in the header");
            return Err(Error::new(Code::MALFORMED, message).with("name", name.as_str()));
        }
        if name == "__metadata__" {
            header.metadata = metadata(&value)?;
        } else {
            let placed = |error: Error| error.within(&format!("tensor '{name}'")).with("tensor", name.as_str());
            header.tensors.push(tensor(&name, &value, data_start, &mut shapes).map_err(placed)?);
        }
        Ok(())
    })?;
    drop(names);
    check_places(&header, file_size)?;
    Ok(Parsed::Header(Box::new(header)))
}

/// The number of tensors that a header seems to have, so that their list is allocated once: growing takes three times its
/// memory. The length of the shortest entry bounds what hostile text can claim.
fn entries(text: &[u8]) -> usize {
    const SHORTEST: usize = br#""":{"dtype":"U8","shape":[],"data_offsets":[0,1]}"#.len();
    let key = br#""dtype""#;
    text.windows(key.len()).filter(|window| window == key).count().min(text.len() / SHORTEST)
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(Code::MALFORMED, message)
}

fn metadata(value: &Value) -> Result<Vec<(String, String)>> {
    let members = value.as_object().ok_or_else(|| malformed("__metadata__ is not an object"))?;
    let texts = members.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect::<Option<_>>().ok_or_else(|| malformed("__metadata__ contains a value that is not a string"))
}

fn tensor(name: &Name, value: &Value, data_start: u64, shapes: &mut Interner<[u64]>) -> Result<SafetensorsTensor> {
    if name.is_empty() {
        return Err(malformed("it has no name"));
    }
    let dtype_name = value.get("dtype").and_then(Value::as_str).ok_or_else(|| malformed("it has no dtype"))?;
    let dtype = TensorType::of_dtype(dtype_name)?;
    let shape = counts(value, "shape")?;
    if shape.len() > MAX_DIMS {
        let message = format!("it has {} dimensions; the limit is {MAX_DIMS}", shape.len());
        return Err(Error::new(Code::TOO_LARGE, message).with("limit", MAX_DIMS));
    }
    let offsets = counts(value, "data_offsets")?;
    let &[begin, end] = offsets.as_slice() else {
        return Err(malformed(format!("data_offsets has {} numbers; it must have two", offsets.len())));
    };
    let Some(bytes) = end.checked_sub(begin) else {
        return Err(malformed(format!("its data ends at {end}, before its start at {begin}")));
    };
    let weights = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
    let expected = weights.and_then(|weights| dtype.size_of(weights));
    let Some(expected) = expected.filter(|expected| i64::try_from(*expected).is_ok()) else {
        let message = format!("its shape {shape:?} has more weights than a file can hold");
        return Err(Error::new(Code::TOO_LARGE, message));
    };
    if bytes != expected {
        let message =
            format!("{dtype_name} with shape {shape:?} takes {expected} bytes, but data_offsets spans {bytes}");
        return Err(malformed(message).with("actual", bytes).with("expected", expected));
    }
    Ok(SafetensorsTensor {
        name: name.clone(),
        dtype,
        shape: shapes.intern(&shape),
        offset: data_start.saturating_add(begin),
        bytes,
    })
}

fn counts(value: &Value, name: &str) -> Result<Vec<u64>> {
    let list = value.get(name).and_then(Value::as_list);
    let counts = list.and_then(|list| list.iter().map(Value::as_u64).collect::<Option<Vec<_>>>());
    counts.ok_or_else(|| malformed(format!("its {name} is not a list of non-negative integers")))
}

/// Checks that each byte of data belongs to exactly one tensor.
fn check_places(header: &SafetensorsHeader, file_size: u64) -> Result<()> {
    let tensors: Vec<&SafetensorsTensor> = header.tensors.iter().collect();
    let order = sorted(&tensors, |a, b| (a.offset, a.bytes).cmp(&(b.offset, b.bytes)));
    let mut at = header.data_start;
    for tensor in order {
        let (name, offset) = (&tensor.name, tensor.offset);
        if offset < at {
            let message = format!("tensor '{name}' begins at byte {offset}, inside another tensor that ends at {at}");
            return Err(malformed(message).with("tensor", name.as_str()));
        }
        if offset > at {
            let message = format!("bytes {at} to {offset}, before tensor '{name}', belong to no tensor");
            return Err(malformed(message).with("tensor", name.as_str()));
        }
        at = at.saturating_add(tensor.bytes);
    }
    if at > file_size {
        let message = format!("the tensors end at byte {at}, but the file has only {file_size} bytes");
        return Err(Error::new(Code::TRUNCATED, message).with("size", file_size).with("needed", at));
    }
    if at < file_size {
        return Err(malformed(format!("bytes {at} to {file_size}, at the end, belong to no tensor")));
    }
    Ok(())
}
