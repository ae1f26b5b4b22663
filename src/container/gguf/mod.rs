//! GGUF, versions 2 and 3: a header of metadata and tensor records, then the tensors' bytes.
//!
//! ```text
//! 0  magic "GGUF"   u32 version   u64 tensors   u64 pairs
//!    pairs    { string key, u32 type, value }
//!    records  { string name, u32 dims, u64 shape[dims], u32 type, u64 offset }
//!    zeros to a multiple of general.alignment (32)
//!    data     each tensor at its offset from here, itself a multiple of the alignment
//! ```
//!
//! Little-endian; a string is a u64 length and its bytes; `shape[0]` is the row length. [`parse`] reads a header without
//! reading the file, [`write_header`] makes one. Metadata keeps its bytes: a pair that is passed through is copied, not
//! re-encoded. Source: ggml `docs/gguf.md`, `gguf.cpp`.

mod header;
mod parse;
mod shards;
mod types;
mod value;
mod write;

pub use header::{Header, KeyValue, Tensor};
pub use parse::{Parsed, parse};
pub use shards::{SPLIT_KEYS, join};
pub use types::TensorType;
pub use value::{Array, Cursor, Items, Value, ValueType, array_items};
pub use write::{Place, Record, Writer, encode_pair, write_header};

/// A whole header: the largest known ones (vocabularies of 260 000 tokens) take 20 MB, and it is held in memory.
pub const MAX_HEADER_BYTES: u64 = 256 << 20;
/// Tensors in a file: the largest known models have some thousands.
pub const MAX_TENSORS: u64 = 1 << 20;
/// Metadata pairs in a file: models have some dozens.
pub const MAX_PAIRS: u64 = 1 << 16;
/// One string: chat templates take some 100 kB.
pub const MAX_STRING_BYTES: u64 = 64 << 20;
/// A key: the specification's own limit.
pub const MAX_KEY_BYTES: u64 = 65_535;
/// A tensor's name: the specification says 64, image models use twice that.
pub const MAX_NAME_BYTES: u64 = 1024;
/// Arrays within arrays; every level is a recursion.
pub const MAX_NESTING: u32 = 4;
/// Dimensions of a tensor, as in ggml.
pub const MAX_DIMS: u32 = 4;
/// Dimensions of a tensor that is read: kernels of video models have five in files for ComfyUI-GGUF.
pub const MAX_READ_DIMS: u32 = 5;
/// `general.alignment`: padding is written for every tensor, so it bounds what a small file can grow to.
pub const MAX_ALIGNMENT: u32 = 1 << 20;
/// `general.alignment` where a file does not say.
pub const DEFAULT_ALIGNMENT: u32 = 32;

/// The key that sets the alignment.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The first bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";
