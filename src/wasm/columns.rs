//! Lists of many objects as two arrays, of strings and of numbers, from which JavaScript builds the objects. Passing
//! them field by field takes ten times as long, with a separate copy of each name.

use std::collections::HashMap;
use wasm_bindgen::JsValue;

/// The strings and numbers of objects, one object after another.
#[derive(Default)]
pub struct Columns {
    texts: js_sys::Array,
    numbers: Vec<f64>,
    /// JavaScript strings that several objects share.
    shared: HashMap<String, JsValue>,
}

impl Columns {
    /// Adds a string of this object only.
    pub fn text(&mut self, text: &str) {
        self.texts.push(&text.into());
    }

    /// Adds a string that other objects also have.
    pub fn shared(&mut self, text: &str) {
        if let Some(known) = self.shared.get(text) {
            self.texts.push(known);
            return;
        }
        let value = JsValue::from(text);
        self.texts.push(&value);
        self.shared.insert(text.to_owned(), value);
    }

    /// Adds numbers below 2^53.
    pub fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        self.numbers.extend(numbers.map(|number| number as f64));
    }

    /// Adds numbers of any size.
    pub fn floats(&mut self, numbers: &[f64]) {
        self.numbers.extend(numbers);
    }

    /// Adds a list of numbers, preceded by its length.
    pub fn list(&mut self, numbers: &[u64]) {
        self.numbers.push(numbers.len() as f64);
        self.numbers.extend(numbers.iter().map(|&number| number as f64));
    }

    /// Returns `[texts, numbers]`.
    pub fn done(self) -> js_sys::Array {
        js_sys::Array::of2(&self.texts, &js_sys::Float64Array::from(self.numbers.as_slice()))
    }
}
