//! Converts every error to a JavaScript `Error` with `kind`, `code` and `details`.

use crate::error::{Detail, Error};
use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

impl From<Error> for JsValue {
    fn from(error: Error) -> JsValue {
        let details = Object::new();
        for (name, value) in error.details() {
            let value = match value {
                Detail::Number(number) => JsValue::from(*number),
                Detail::Text(text) => JsValue::from(text),
            };
            set(&details, name, &value);
        }
        let thrown = js_sys::Error::new(error.message());
        thrown.set_name("QuantpressError");
        set(&thrown, "kind", &error.code().kind.name().into());
        set(&thrown, "code", &error.code().name.into());
        set(&thrown, "details", &details);
        thrown.into()
    }
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // Setting a property of a new object cannot fail.
    let _ = Reflect::set(object, &name.into(), value);
}
