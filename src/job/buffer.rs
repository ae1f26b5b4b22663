//! The bytes of results, in memory that the driver chooses.

use crate::hash::{self, Hasher};

/// The bytes of a result. A driver in another language can keep them in its own memory: the job only counts, hashes and
/// forwards them.
pub trait Buffer: Clone {
    /// A SHA-256 state for these bytes.
    type Sha256;

    /// Context for creating hashers.
    type Hashing;

    /// Creates a SHA-256 state without data.
    fn sha256(hashing: &Self::Hashing) -> Self::Sha256;

    /// Wraps bytes created by the job.
    fn of(bytes: Vec<u8>) -> Self;

    /// The length in bytes.
    fn len(&self) -> u64;

    /// Whether it is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the bytes to hashes.
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
        let mut all: Vec<&mut Hasher> = sha256.iter_mut().map(|hasher| &mut **hasher).chain(xxh64).collect();
        hash::update_all(&mut all, self.as_slice());
    }

    fn hex(hash: Hasher) -> String {
        hash.hex()
    }
}
