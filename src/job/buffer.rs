//! Bytes of results: where they are is the driver's business.

use crate::hash::Hasher;

/// The bytes of a result. A driver in another language keeps them in its own memory: the job only counts, hashes and
/// passes them on.
pub trait Buffer: Clone {
    /// A SHA-256 that takes them.
    type Sha256;

    /// Makes hashers.
    type Hashing;

    /// A SHA-256 of nothing yet.
    fn sha256(hashing: &Self::Hashing) -> Self::Sha256;

    /// Bytes that the job made.
    fn of(bytes: Vec<u8>) -> Self;

    /// How many there are.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds them to hashes.
    fn hash(&self, sha256: &mut [&mut Self::Sha256], xxh64: Option<&mut Hasher>);

    /// The hash in hexadecimal.
    fn hex(hash: Self::Sha256) -> String;
}

impl Buffer for Vec<u8> {
    type Sha256 = Hasher;
    type Hashing = ();

    fn sha256((): &()) -> Hasher {
        Hasher::sha256()
    }

    fn of(bytes: Vec<u8>) -> Self {
        bytes
    }

    fn len(&self) -> u64 {
        Vec::len(self) as u64
    }

    fn hash(&self, sha256: &mut [&mut Hasher], xxh64: Option<&mut Hasher>) {
        for hasher in sha256.iter_mut().map(|hasher| &mut **hasher).chain(xxh64) {
            hasher.update(self);
        }
    }

    fn hex(hash: Hasher) -> String {
        hash.hex()
    }
}
