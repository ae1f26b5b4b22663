//! Lists of many objects: texts and numbers in two arrays, from which JavaScript makes the objects. Field by field across the
//! boundary they take ten times as long, and every one its own copy of each name.

use std::collections::HashMap;
use wasm_bindgen::JsValue;

/// Texts and numbers of objects, one after the other.
#[derive(Default)]
pub struct Columns {
    texts: js_sys::Array,
    numbers: Vec<f64>,
    /// Texts that many objects share, as JavaScript has them.
    shared: HashMap<String, JsValue>,
}

impl Columns {
    /// A text of this object alone.
    pub fn text(&mut self, text: &str) {
        self.texts.push(&text.into());
    }

    /// A text that others have too.
    pub fn shared(&mut self, text: &str) {
        if let Some(known) = self.shared.get(text) {
            self.texts.push(known);
            return;
        }
        let value = JsValue::from(text);
        self.texts.push(&value);
        self.shared.insert(text.to_owned(), value);
    }

    /// Numbers, which are below 2^53.
    pub fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        self.numbers.extend(numbers.map(|number| number as f64));
    }

    /// Numbers of any size.
    pub fn floats(&mut self, numbers: &[f64]) {
        self.numbers.extend(numbers);
    }

    /// A list of numbers, its length before it.
    pub fn list(&mut self, numbers: &[u64]) {
        self.numbers.push(numbers.len() as f64);
        self.numbers.extend(numbers.iter().map(|&number| number as f64));
    }

    /// `[texts, numbers]`.
    pub fn done(self) -> js_sys::Array {
        js_sys::Array::of2(&self.texts, &js_sys::Float64Array::from(self.numbers.as_slice()))
    }
}
