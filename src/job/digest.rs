//! Hashes of files and tensors whose pieces arrive in any order: each piece is hashed when all earlier ones have been.

use super::buffer::Buffer;
use super::report::TensorHashes;
use super::small_map::SmallMap;
use crate::hash::Hasher;

/// A piece that arrived before its turn.
struct Piece<B> {
    bytes: B,
    tensor: Option<usize>,
}

/// The hashes of a job's output.
pub struct Digest<B: Buffer> {
    hashing: B::Hashing,
    whole: B::Sha256,
    /// The start and hash of each file, if there are several.
    files: Vec<(u64, B::Sha256)>,
    /// The number of remaining bytes of each tensor.
    left: Vec<u64>,
    /// The hashes of completed tensors; empty tensors have those of no bytes.
    tensors: Vec<TensorHashes>,
    /// The hash states of the current tensor.
    now: Option<(B::Sha256, Hasher)>,
    waiting: SmallMap<u64, Piece<B>>,
    /// The number of waiting pieces that belong to tensors.
    waiting_tiles: usize,
    position: u64,
}

impl<B: Buffer> Digest<B> {
    /// `tensors` are the sizes of the tensors, `files` the start offsets of the files.
    pub fn new(hashing: B::Hashing, tensors: Vec<u64>, files: impl ExactSizeIterator<Item = u64>) -> Self {
        let nothing = TensorHashes::from_hex(&B::hex(B::sha256(&hashing)), &Hasher::xxh64().hex());
        let files =
            if files.len() > 1 { files.map(|start| (start, B::sha256(&hashing))).collect() } else { Vec::new() };
        Digest {
            whole: B::sha256(&hashing),
            files,
            tensors: vec![nothing; tensors.len()],
            left: tensors,
            now: None,
            waiting: SmallMap::new(),
            waiting_tiles: 0,
            position: 0,
            hashing,
        }
    }

    /// The number of tiles that wait for earlier ones. The headers of further files, which wait from the start, do not
    /// count.
    pub fn waiting(&self) -> usize {
        self.waiting_tiles
    }

    /// Adds bytes at `offset` that belong to a tensor, or to none.
    pub fn add(&mut self, offset: u64, bytes: &B, tensor: Option<usize>) {
        if bytes.is_empty() {
            return;
        }
        if offset != self.position {
            self.waiting.insert(offset, Piece { bytes: bytes.clone(), tensor });
            self.waiting_tiles += usize::from(tensor.is_some());
            return;
        }
        self.hash(bytes, tensor);
        while let Some(Piece { bytes, tensor }) = self.waiting.remove(self.position) {
            self.waiting_tiles -= usize::from(tensor.is_some());
            self.hash(&bytes, tensor);
        }
    }

    fn hash(&mut self, bytes: &B, tensor: Option<usize>) {
        let mut hashers = vec![&mut self.whole];
        let position = self.position;
        hashers.extend(self.files.iter_mut().rev().find(|(start, _)| *start <= position).map(|(_, file)| file));
        self.position += bytes.len();
        let Some(index) = tensor else {
            bytes.hash(&mut hashers, None);
            return;
        };
        let (sha256, xxh64) = self.now.get_or_insert_with(|| (B::sha256(&self.hashing), Hasher::xxh64()));
        hashers.push(sha256);
        bytes.hash(&mut hashers, Some(xxh64));
        let Some(left) = self.left.get_mut(index) else { return };
        *left = left.saturating_sub(bytes.len());
        if *left == 0
            && let Some((sha256, xxh64)) = self.now.take()
        {
            self.tensors[index] = TensorHashes::from_hex(&B::hex(sha256), &xxh64.hex());
        }
    }

    /// Returns the SHA-256 of the concatenated files, that of each file, and the hashes of each tensor.
    pub fn finish(self) -> (String, Vec<String>, Vec<TensorHashes>) {
        let whole = B::hex(self.whole);
        let files = match self.files.is_empty() {
            true => vec![whole.clone()],
            false => self.files.into_iter().map(|(_, file)| B::hex(file)).collect(),
        };
        (whole, files, self.tensors)
    }
}
