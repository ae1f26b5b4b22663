//! Hashes of files and of tensors, of pieces that come in any order: each is hashed when all before it are.

use super::report::TensorHashes;
use crate::hash::Hasher;
use std::collections::BTreeMap;

/// A piece that came before its turn.
struct Piece {
    bytes: Vec<u8>,
    tensor: Option<usize>,
}

/// The hashes of a job's output.
pub struct Digest {
    whole: Hasher,
    /// Where each file begins, and its hash, where there is more than one.
    files: Vec<(u64, Hasher)>,
    /// Of each tensor, how many bytes are still to come.
    left: Vec<u64>,
    tensors: Vec<TensorHashes>,
    /// Of the tensor whose turn it is.
    now: Option<(Hasher, Hasher)>,
    waiting: BTreeMap<u64, Piece>,
    position: u64,
}

impl Digest {
    /// `tensors` are the lengths of the tensors, `files` where the files begin.
    pub fn new(tensors: Vec<u64>, files: impl ExactSizeIterator<Item = u64>) -> Self {
        let nothing = TensorHashes { sha256: Hasher::sha256().hex(), xxh64: Hasher::xxh64().hex() };
        let files = if files.len() > 1 { files.map(|start| (start, Hasher::sha256())).collect() } else { Vec::new() };
        Digest {
            whole: Hasher::sha256(),
            files,
            tensors: vec![nothing; tensors.len()],
            left: tensors,
            now: None,
            waiting: BTreeMap::new(),
            position: 0,
        }
    }

    /// How many pieces wait for those before them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next bytes at `offset`, of a tensor or of what is between tensors.
    pub fn add(&mut self, offset: u64, bytes: &[u8], tensor: Option<usize>) {
        if bytes.is_empty() {
            return;
        }
        if offset != self.position {
            self.waiting.insert(offset, Piece { bytes: bytes.to_vec(), tensor });
            return;
        }
        self.hash(bytes, tensor);
        while let Some(Piece { bytes, tensor }) = self.waiting.remove(&self.position) {
            self.hash(&bytes, tensor);
        }
    }

    fn hash(&mut self, bytes: &[u8], tensor: Option<usize>) {
        self.whole.update(bytes);
        let file = self.files.iter_mut().rev().find(|(start, _)| *start <= self.position);
        if let Some((_, file)) = file {
            file.update(bytes);
        }
        self.position += bytes.len() as u64;
        let Some(index) = tensor else { return };
        let (sha256, xxh64) = self.now.get_or_insert_with(|| (Hasher::sha256(), Hasher::xxh64()));
        sha256.update(bytes);
        xxh64.update(bytes);
        let Some(left) = self.left.get_mut(index) else { return };
        *left = left.saturating_sub(bytes.len() as u64);
        if *left == 0 {
            self.tensors[index] = TensorHashes { sha256: sha256.hex(), xxh64: xxh64.hex() };
            self.now = None;
        }
    }

    /// SHA-256 of all files end to end, of each file, and the hashes of each tensor.
    pub fn finish(self) -> (String, Vec<String>, Vec<TensorHashes>) {
        let whole = self.whole.hex();
        let files = match self.files.is_empty() {
            true => vec![whole.clone()],
            false => self.files.iter().map(|(_, file)| file.hex()).collect(),
        };
        (whole, files, self.tensors)
    }
}
