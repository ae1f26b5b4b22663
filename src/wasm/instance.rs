//! The end of a wasm instance. After a trap (a panic, or out of memory) its memory may be corrupt: the glue code
//! creates a new instance for the next call, and rejects objects of the old one.

use std::cell::RefCell;
use wasm_bindgen::prelude::*;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the message of a panic, because the trap itself only reports `unreachable`.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string()));
    }));
}

/// The message of the panic that ended this instance; nothing if it ran out of memory instead.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    PANIC.with_borrow_mut(Option::take)
}

/// Abandons this instance: the next call uses a new one.
#[wasm_bindgen]
pub fn abandon() {
    wasm_bindgen::handler::schedule_reinit();
}
