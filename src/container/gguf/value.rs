//! Metadata values: thirteen types including arrays, read without copying.

use super::limits::{MAX_NESTING, MAX_STRING_BYTES};
use crate::container::reader::{Read, Reader};
use crate::error::{Code, Error, Result};

/// The type of a metadata value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueType {
    /// The number in GGUF files.
    pub id: u32,
    /// The name, as the GGUF specification spells it, in lower case.
    pub name: &'static str,
    /// Bytes per value; `None` for strings and arrays, whose length is stored with the value.
    pub bytes: Option<u64>,
}

macro_rules! value_types {
    ($($name:ident $id:literal $text:literal $bytes:expr;)+) => {
        #[allow(missing_docs)] // the names say it
        impl ValueType {
            $(pub const $name: ValueType = ValueType { id: $id, name: $text, bytes: $bytes };)+
            /// All types, in the order of their ids.
            pub const ALL: &[ValueType] = &[$(ValueType::$name),+];
        }
    };
}

value_types! {
    U8      0 "uint8"   Some(1);
    I8      1 "int8"    Some(1);
    U16     2 "uint16"  Some(2);
    I16     3 "int16"   Some(2);
    U32     4 "uint32"  Some(4);
    I32     5 "int32"   Some(4);
    F32     6 "float32" Some(4);
    BOOL    7 "bool"    Some(1);
    STRING  8 "string"  None;
    ARRAY   9 "array"   None;
    U64    10 "uint64"  Some(8);
    I64    11 "int64"   Some(8);
    F64    12 "float64" Some(8);
}

impl ValueType {
    /// The type with this id.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] if there is none.
    pub fn by_id(id: u32) -> Result<ValueType> {
        Self::ALL.iter().find(|value_type| value_type.id == id).copied().ok_or_else(|| {
            Error::new(Code::MALFORMED, format!("value type {id} does not exist; types are 0 to 12")).with("type", id)
        })
    }
}

/// A metadata value, borrowed from the bytes of its header.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the names say it
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    /// Text. The specification requires UTF-8, but not all files comply.
    String(&'a [u8]),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array whose elements are decoded as they are iterated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    /// The type of every element.
    pub element: ValueType,
    /// The number of elements.
    pub len: u64,
    /// The elements as stored in the file.
    pub items: &'a [u8],
}

impl<'a> Array<'a> {
    /// The elements in order.
    pub fn iter(&self) -> Items<'a> {
        self.items_from(0, Cursor::default())
    }

    /// The elements from `index` on. For elements of fixed size the position is computed; otherwise the elements
    /// between `known`, a position at or before `index`, and `index` are skipped one by one.
    pub fn items_from(&self, index: u64, known: Cursor) -> Items<'a> {
        let Array { element, len, items } = *self;
        let mut from = Items { element, len, items, at: known };
        if let Some(bytes) = element.bytes {
            from.at = Cursor { index, offset: index.saturating_mul(bytes) };
        }
        while from.at.index < index && from.next().is_some() {}
        from
    }
}

/// A position in an array: the number of elements and bytes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    index: u64,
    offset: u64,
}

impl Cursor {
    /// The number of elements before this position.
    pub fn index(self) -> u64 {
        self.index
    }
}

/// An iterator over an array's elements, decoding them one by one.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    element: ValueType,
    len: u64,
    items: &'a [u8],
    at: Cursor,
}

impl Items<'_> {
    /// The position of the next element.
    pub fn cursor(&self) -> Cursor {
        self.at
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        if self.at.index >= self.len {
            return None;
        }
        let rest = self.items.get(usize::try_from(self.at.offset).ok()?..)?;
        let mut reader: Reader<'a> = whole(rest);
        let value = read(&mut reader, self.element, 0).ok()?;
        let offset = self.at.offset.saturating_add(reader.position() as u64);
        self.at = Cursor { index: self.at.index.saturating_add(1), offset };
        Some(value)
    }
}

impl<'a> Value<'a> {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::BOOL,
            Value::String(_) => ValueType::STRING,
            Value::Array(_) => ValueType::ARRAY,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// The value as u64, if it is a non-negative integer of any width.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(x) => Some(x.into()),
            Value::U16(x) => Some(x.into()),
            Value::U32(x) => Some(x.into()),
            Value::U64(x) => Some(x),
            Value::I8(x) => x.try_into().ok(),
            Value::I16(x) => x.try_into().ok(),
            Value::I32(x) => x.try_into().ok(),
            Value::I64(x) => x.try_into().ok(),
            _ => None,
        }
    }

    /// The value as text, if it is a valid UTF-8 string.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::String(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The value as an array, if it is one.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match self {
            Value::Array(array) => Some(*array),
            _ => None,
        }
    }

    /// Appends the value in the file's encoding, without its type.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(x) => out.push(*x),
            Value::I8(x) => out.extend(x.to_le_bytes()),
            Value::U16(x) => out.extend(x.to_le_bytes()),
            Value::I16(x) => out.extend(x.to_le_bytes()),
            Value::U32(x) => out.extend(x.to_le_bytes()),
            Value::I32(x) => out.extend(x.to_le_bytes()),
            Value::F32(x) => out.extend(x.to_le_bytes()),
            Value::Bool(x) => out.push((*x).into()),
            Value::String(x) => write_string(x, out),
            Value::Array(x) => {
                out.extend(x.element.id.to_le_bytes());
                out.extend(x.len.to_le_bytes());
                out.extend(x.items);
            }
            Value::U64(x) => out.extend(x.to_le_bytes()),
            Value::I64(x) => out.extend(x.to_le_bytes()),
            Value::F64(x) => out.extend(x.to_le_bytes()),
        }
    }
}

/// Encodes the elements of an array to be written as `Array { element, len, items: &this }`.
///
/// # Errors
/// [`Code::ARGUMENT`] if a value does not have the element type.
pub fn array_items(element: ValueType, values: &[Value]) -> Result<Vec<u8>> {
    let mut items = Vec::new();
    for value in values {
        if value.value_type() != element {
            let message =
                format!("an array of {} cannot hold a value of type {}", element.name, value.value_type().name);
            return Err(Error::new(Code::ARGUMENT, message));
        }
        value.write(&mut items);
    }
    Ok(items)
}

/// Appends a string, preceded by its length.
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text);
}

/// Reads a string of at most `limit` bytes.
pub(super) fn read_string<'a>(reader: &mut Reader<'a>, limit: u64, what: &str) -> Read<&'a [u8]> {
    let len = reader.u64()?;
    if len > limit {
        let message = format!("{what} claims {len} bytes; the limit is {limit}");
        return Err(Error::new(Code::TOO_LARGE, message).with("length", len).with("limit", limit).into());
    }
    reader.take(len)
}

/// A reader over a complete byte string.
pub(super) fn whole(bytes: &[u8]) -> Reader<'_> {
    Reader::new(bytes, bytes.len() as u64, u64::MAX, "a value")
}

/// Reads one value; `depth` is the number of enclosing arrays.
pub(super) fn read<'a>(reader: &mut Reader<'a>, value_type: ValueType, depth: u32) -> Read<Value<'a>> {
    Ok(match value_type {
        ValueType::U8 => Value::U8(u8::from_le_bytes(reader.array()?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(reader.array()?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(reader.array()?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(reader.array()?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(reader.array()?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(reader.array()?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(reader.array()?)),
        ValueType::BOOL => Value::Bool(reader.array::<1>()? != [0]),
        ValueType::STRING => Value::String(read_string(reader, MAX_STRING_BYTES, "a string")?),
        ValueType::U64 => Value::U64(u64::from_le_bytes(reader.array()?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(reader.array()?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(reader.array()?)),
        _ => Value::Array(read_array(reader, depth.saturating_add(1))?),
    })
}

fn read_array<'a>(reader: &mut Reader<'a>, depth: u32) -> Read<Array<'a>> {
    if depth > MAX_NESTING {
        let message = format!("arrays are nested more than {MAX_NESTING} levels deep");
        return Err(Error::new(Code::TOO_LARGE, message).with("limit", MAX_NESTING).into());
    }
    let element = ValueType::by_id(reader.u32()?)?;
    let len = reader.u64()?;
    let mut ahead = reader.fork();
    match element.bytes {
        Some(bytes) => {
            ahead.take(len.saturating_mul(bytes))?;
        }
        // Each of these takes at least the bytes of a length, so the file's size bounds the loop whatever the count
        // claims.
        None => {
            for _ in 0..len {
                read(&mut ahead, element, depth)?;
            }
        }
    }
    let items = reader.take(ahead.distance_from(reader))?;
    Ok(Array { element, len, items })
}
