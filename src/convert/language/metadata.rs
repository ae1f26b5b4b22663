//! Collects metadata pairs: in order, without duplicate keys.

use crate::container::gguf::{Array, Value, ValueType};

/// An owned metadata value.
#[derive(Debug)]
enum Owned {
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(String),
    Array { element: ValueType, len: u64, items: Vec<u8> },
}

/// Pairs in the order in which their keys were first set. Setting a key again replaces its value in place, like the
/// dictionary of gguf-py.
#[derive(Debug, Default)]
pub(super) struct MetadataBuilder(Vec<(String, Owned)>);

impl MetadataBuilder {
    fn set(&mut self, key: &str, value: Owned) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    pub fn u32(&mut self, key: &str, value: u32) {
        self.set(key, Owned::U32(value));
    }

    pub fn i32(&mut self, key: &str, value: i32) {
        self.set(key, Owned::I32(value));
    }

    pub fn f32(&mut self, key: &str, value: f64) {
        self.set(key, Owned::F32(value as f32));
    }

    pub fn bool(&mut self, key: &str, value: bool) {
        self.set(key, Owned::Bool(value));
    }

    /// Sets a string; empty strings are omitted, as in gguf-py.
    pub fn text(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.set(key, Owned::Text(value));
        }
    }

    /// Sets an array of strings.
    pub fn texts<'a>(&mut self, key: &str, values: impl Iterator<Item = &'a str>) {
        let (mut len, mut items) = (0u64, Vec::new());
        for value in values {
            len = len.saturating_add(1);
            items.extend((value.len() as u64).to_le_bytes());
            items.extend(value.as_bytes());
        }
        self.set(key, Owned::Array { element: ValueType::STRING, len, items });
    }

    /// Sets an array of i32.
    pub fn i32s(&mut self, key: &str, values: &[i32]) {
        let items = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.set(key, Owned::Array { element: ValueType::I32, len: values.len() as u64, items });
    }

    /// Sets an array of f32.
    pub fn f32s(&mut self, key: &str, values: &[f32]) {
        let items = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.set(key, Owned::Array { element: ValueType::F32, len: values.len() as u64, items });
    }

    /// All pairs, borrowed.
    pub fn values(&self) -> Vec<(String, Value<'_>)> {
        let values = self.0.iter().map(|(key, value)| {
            let value = match value {
                Owned::U32(x) => Value::U32(*x),
                Owned::I32(x) => Value::I32(*x),
                Owned::F32(x) => Value::F32(*x),
                Owned::Bool(x) => Value::Bool(*x),
                Owned::Text(x) => Value::String(x.as_bytes()),
                Owned::Array { element, len, items } => Value::Array(Array { element: *element, len: *len, items }),
            };
            (key.clone(), value)
        });
        values.collect()
    }
}
