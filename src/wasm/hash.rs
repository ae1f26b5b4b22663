//! JavaScript bindings of `hash.rs`.

use crate::hash;
use wasm_bindgen::prelude::*;

/// See [`hash::Hasher`].
#[wasm_bindgen]
pub struct Hasher(hash::Hasher);

#[wasm_bindgen]
impl Hasher {
    /// See [`hash::Hasher::sha256`].
    pub fn sha256() -> Hasher {
        Hasher(hash::Hasher::sha256())
    }

    /// See [`hash::Hasher::xxh64`].
    pub fn xxh64() -> Hasher {
        Hasher(hash::Hasher::xxh64())
    }

    /// See [`hash::Hasher::update`].
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// See [`hash::Hasher::hex`].
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

/// The SHA-256 and the XXH64 of `bytes` in hexadecimal.
#[wasm_bindgen]
pub fn hashes(bytes: &[u8]) -> Vec<String> {
    [hash::Hasher::sha256(), hash::Hasher::xxh64()]
        .map(|mut hasher| {
            hasher.update(bytes);
            hasher.hex()
        })
        .to_vec()
}

/// The version of the engine, which is also that of the package and of the crate.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
