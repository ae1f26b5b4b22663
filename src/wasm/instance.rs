//! The end of an instance. After a trap (a panic, or memory that ran out) its memory may be anything: the glue makes a new
//! instance at the next call, and objects of the old one are refused.

use std::cell::RefCell;
use wasm_bindgen::prelude::*;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what a panic says: a trap by itself says only `unreachable`.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string()));
    }));
}

/// What the panic said that ended this instance; nothing if it was none: then memory ran out.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    PANIC.with_borrow_mut(Option::take)
}

/// Gives this instance up: the next call is made to a new one.
#[wasm_bindgen]
pub fn abandon() {
    wasm_bindgen::handler::schedule_reinit();
}
