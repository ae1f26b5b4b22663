//! GGUF, versions 2 and 3: a header with metadata and tensor records, followed by the tensors' data.
//!
//! ```text
//! 0  magic "GGUF"   u32 version   u64 tensors   u64 pairs
//!    pairs    { string key, u32 type, value }
//!    records  { string name, u32 dims, u64 shape[dims], u32 type, u64 offset }
//!    zeros to a multiple of general.alignment (32)
//!    data     each tensor at its offset from here, itself a multiple of the alignment
//! ```
//!
//! Little-endian; a string is its length as u64 and its bytes; `shape[0]` is the row length. [`parse`] reads a header
//! from the first bytes of a file, [`write_header`] writes one. Metadata pairs that are passed through are copied byte
//! for byte, not re-encoded. Source: ggml `docs/gguf.md`, `gguf.cpp`.

mod header;
mod parse;
mod shards;
mod types;
mod value;
mod write;

pub use header::{Header, KeyValue, Tensor};
pub use parse::{Parsed, parse};
pub use shards::{SPLIT_KEYS, join};
pub use types::{TensorType, TypeRow};
pub use value::{Array, Cursor, Items, Value, ValueType, array_items};
#[cfg(feature = "models")]
pub(crate) use write::HeaderWriter;
pub use write::{Place, Record, Writer, encode_pair, write_header};

/// Size of a header, which is kept in memory. The largest known ones (vocabularies of 260 000 tokens) have 20 MB.
pub const MAX_HEADER_BYTES: u64 = 256 << 20;
/// Number of tensors in a file. The largest known models have a few thousand.
pub const MAX_TENSORS: u64 = 1 << 20;
/// Number of metadata pairs in a file. Models have a few dozen.
pub const MAX_PAIRS: u64 = 1 << 16;
/// Length of a string. Chat templates have about 100 kB.
pub const MAX_STRING_BYTES: u64 = 64 << 20;
/// Length of a key: the limit of the specification.
pub const MAX_KEY_BYTES: u64 = 65_535;
/// Length of a tensor name. The specification allows 64 bytes; image models use twice that.
pub const MAX_NAME_BYTES: u64 = 1024;
/// Nesting of arrays; each level is one recursion.
pub const MAX_NESTING: u32 = 4;
/// Dimensions of a tensor, as in ggml.
pub const MAX_DIMS: u32 = 4;
/// Dimensions of a tensor when reading: kernels of video models in files for ComfyUI-GGUF have five.
pub const MAX_READ_DIMS: u32 = 5;
/// `general.alignment`. Every tensor is padded to it, so it limits the size of the output for a small input.
pub const MAX_ALIGNMENT: u32 = 1 << 20;
/// The alignment of a file without `general.alignment`.
pub const DEFAULT_ALIGNMENT: u32 = 32;

/// The metadata key of the alignment.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The first bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";
