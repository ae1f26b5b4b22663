//! Plain objects and numbers across the boundary.

use crate::error::{Code, Error};
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// The largest integer up to which doubles are exact.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// Reads a count that was passed as a number.
pub(super) fn count(value: f64, name: &'static str) -> Result<u64, Error> {
    if (0.0..=MAX_SAFE).contains(&value) && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(Error::new(Code::RANGE, format!("{name} is {value}, and must be a whole number")).with(name, value))
}

/// A plain object under construction.
#[derive(Debug)]
pub(super) struct Object(js_sys::Object);

impl Object {
    pub fn new() -> Self {
        Object(js_sys::Object::new())
    }

    pub fn value(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Setting a fresh object's own property does not fail.
        let _ = Reflect::set(&self.0, &name.into(), &value.into());
        self
    }

    pub fn number(self, name: &str, value: u64) -> Self {
        self.value(name, value as f64)
    }

    pub fn done(self) -> JsValue {
        self.0.into()
    }
}

/// An integer of any size: a number if that is exact, otherwise a bigint.
pub(super) fn integer<T: Copy + Into<i128>>(value: T) -> JsValue {
    let wide: i128 = value.into();
    if wide.unsigned_abs() <= MAX_SAFE as u128 {
        return JsValue::from(wide as f64);
    }
    match u64::try_from(wide) {
        Ok(large) => js_sys::BigInt::from(large).into(),
        Err(_) => js_sys::BigInt::from(wide as i64).into(),
    }
}

/// A copy of an options object without properties that are `undefined`, which count as absent.
pub(super) fn given(options: &JsValue) -> JsValue {
    let Some(object) = js_sys::Object::try_from(options) else { return options.clone() };
    let given: js_sys::Array = js_sys::Object::entries(object)
        .iter()
        .filter(|entry| Reflect::get_u32(entry, 1).is_ok_and(|value| !value.is_undefined()))
        .collect();
    js_sys::Object::from_entries(&given).map_or_else(|_| options.clone(), JsValue::from)
}
