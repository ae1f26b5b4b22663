//! Incremental hashes of data that does not fit into memory.

use crate::tiling::{Input, TILE, tiles};
use sha2::Digest;
use xxhash_rust::xxh64::Xxh64;

/// An incremental hash. How the data is split between calls of [`update`](Self::update) does not matter.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256 (FIPS 180-4), as `sha256sum` computes it.
    Sha256(Box<sha2::Sha256>),
    /// XXH64 with seed 0, the default of `llama-gguf-hash`. Not cryptographic.
    Xxh64(Box<Xxh64>),
}

impl Hasher {
    /// A SHA-256 hash without any data yet.
    #[must_use]
    #[inline(never)]
    pub fn sha256() -> Self {
        Hasher::Sha256(Box::default())
    }

    /// An XXH64 hash without any data yet.
    #[must_use]
    #[inline(never)]
    pub fn xxh64() -> Self {
        Hasher::Xxh64(Box::new(Xxh64::new(0)))
    }

    /// Adds the next bytes.
    #[inline(never)]
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(state) => state.update(bytes),
            Hasher::Xxh64(state) => state.update(bytes),
        }
    }

    /// The hash of all bytes so far, in hexadecimal. More data can be added afterwards.
    #[must_use]
    #[inline(never)]
    pub fn hex(&self) -> String {
        match self {
            Hasher::Sha256(state) => {
                state.as_ref().clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Hasher::Xxh64(state) => format!("{:016x}", state.digest()),
        }
    }
}

/// Adds the bytes of an array to several hashes, tile by tile.
pub(crate) fn update_all(hashers: &mut [&mut Hasher], mut bytes: impl Input<Item = u8>) {
    if hashers.is_empty() {
        return;
    }
    for range in tiles(bytes.len(), TILE) {
        let tile = bytes.read(range);
        hashers.iter_mut().for_each(|hasher| hasher.update(tile));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mut hasher: Hasher, pieces: &[&[u8]]) -> String {
        pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.hex()
    }

    /// The examples of FIPS 180-4.
    #[test]
    fn sha256_matches_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(of(Hasher::sha256(), &[]), empty);
        assert_eq!(of(Hasher::sha256(), &[b"a", b"", b"bc"]), abc);
        assert_eq!(of(Hasher::sha256(), &[[b'a'; 1000].as_slice(); 1000]), million);
    }

    /// The values for seed 0 in xxHash's own documentation.
    #[test]
    fn xxh64_matches_its_specification() {
        assert_eq!(of(Hasher::xxh64(), &[]), "ef46db3751d8e999");
        assert_eq!(of(Hasher::xxh64(), &[b"a"]), "d24ec4f1a98c6e5b");
        assert_eq!(of(Hasher::xxh64(), &[b"a", b"bc"]), "44bc2cf5ad770999");
    }

    #[test]
    fn a_digest_can_be_read_before_the_end() {
        for mut hasher in [Hasher::sha256(), Hasher::xxh64()] {
            let whole = of(hasher.clone(), &[b"one", b"two"]);
            hasher.update(b"one");
            let part = hasher.hex();
            hasher.update(b"two");
            assert_eq!(hasher.hex(), whole);
            assert_ne!(part, whole);
        }
    }
}
