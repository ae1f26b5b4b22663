//! Metadata for JavaScript: small values at once, large ones on demand. A large vocabulary or text exists once, in the
//! header, and only the parts that are read become JavaScript values.

use super::build::{Object, integer};
use super::model::ModelHeader;
use crate::container::gguf::{Array, Cursor, KeyValue, Value, ValueType};
use crate::error::{Code, Error};
use js_sys::Float64Array;
use wasm_bindgen::prelude::*;

/// Strings and arrays up to this size in bytes are included in the list.
const SMALL: usize = 4096;

#[wasm_bindgen]
impl ModelHeader {
    /// `[key, type, length, value]` for every pair, in file order, as one flat array. `length` is undefined except for
    /// arrays, whose `type` is that of their elements; `value` is undefined if it is large, to be read with
    /// [`Self::text`] or [`Self::items`].
    pub fn metadata(&self) -> js_sys::Array {
        let pairs = js_sys::Array::new();
        for pair in self.header.metadata() {
            let value = pair.value();
            let (kind, length) = match value {
                Value::Array(array) => (array.element.name, JsValue::from(array.len as f64)),
                _ => (value.value_type().name, JsValue::UNDEFINED),
            };
            let small = pair.raw.len() <= SMALL;
            for part in [pair.key.into(), kind.into(), length, if small { plain(&value) } else { JsValue::UNDEFINED }] {
                pairs.push(&part);
            }
        }
        pairs
    }

    /// The string value of pair `index`.
    #[wasm_bindgen(js_name = metadataText)]
    pub fn text(&self, index: usize) -> Result<JsValue, Error> {
        Ok(plain(&self.pair(index)?.value()))
    }

    /// Elements `from` up to `to` of the array in pair `index`: a `Float64Array` for numbers, otherwise an array.
    #[wasm_bindgen(js_name = metadataItems)]
    pub fn items(&self, index: usize, from: f64, to: f64) -> Result<JsValue, Error> {
        let value = self.pair(index)?.value();
        let Some(array) = value.as_array() else { return Err(unknown(index)) };
        // Arrays are shorter than the maximum header size, so both numbers are exact.
        let (from, to) = (from as u64, (to as u64).min(array.len));
        let known = self.cursor.get().filter(|(pair, cursor)| *pair == index && cursor.index() <= from);
        let mut items = array.items_from(from, known.map_or(Cursor::default(), |(_, cursor)| cursor));
        let count = to.saturating_sub(from) as usize;
        let read = items.by_ref().take(count);
        let read = match array.element {
            ValueType::U64 | ValueType::I64 | ValueType::BOOL | ValueType::STRING | ValueType::ARRAY => {
                read.map(|item| plain(&item)).collect::<js_sys::Array>().into()
            }
            _ => Float64Array::from(read.filter_map(number).collect::<Vec<_>>().as_slice()).into(),
        };
        self.cursor.set(Some((index, items.cursor())));
        Ok(read)
    }

    /// Whether pair `index` is identical to a pair of another header: key, type and value, bit by bit.
    #[wasm_bindgen(js_name = sameMetadata)]
    pub fn same(&self, index: usize, other: &ModelHeader, of_other: usize) -> Result<bool, Error> {
        Ok(self.pair(index)?.raw == other.pair(of_other)?.raw)
    }
}

impl ModelHeader {
    fn pair(&self, index: usize) -> Result<KeyValue<'_>, Error> {
        self.header.metadata().nth(index).ok_or_else(|| unknown(index))
    }
}

fn unknown(index: usize) -> Error {
    Error::new(Code::RANGE, format!("metadata has no pair {index} of that type")).with("index", index)
}

fn number(value: Value) -> Option<f64> {
    Some(match value {
        Value::U8(x) => x.into(),
        Value::I8(x) => x.into(),
        Value::U16(x) => x.into(),
        Value::I16(x) => x.into(),
        Value::U32(x) => x.into(),
        Value::I32(x) => x.into(),
        Value::F32(x) => x.into(),
        Value::F64(x) => x,
        _ => return None,
    })
}

fn plain(value: &Value) -> JsValue {
    match *value {
        Value::U64(x) => integer(x),
        Value::I64(x) => integer(x),
        Value::Bool(x) => x.into(),
        Value::String(text) => String::from_utf8_lossy(text).as_ref().into(),
        Value::Array(array) => items(&array),
        value => number(value).map_or(JsValue::UNDEFINED, JsValue::from),
    }
}

/// The elements of an array; for nested arrays `{ type: 'array', of, value }` each.
fn items(array: &Array) -> JsValue {
    let item = |item: Value| match item {
        Value::Array(inner) => {
            let object = Object::new().value("type", ValueType::ARRAY.name).value("of", inner.element.name);
            object.value("value", items(&inner)).done()
        }
        item => plain(&item),
    };
    array.iter().map(item).collect::<js_sys::Array>().into()
}
