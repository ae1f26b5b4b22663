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
mod limits;
mod parse;
#[cfg(feature = "models")]
mod serialization;
mod shards;
mod tensor_type;
mod value;
mod write;

pub use header::{Header, KeyValue, Tensor};
pub use limits::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, MAX_ALIGNMENT, MAX_DIMS, MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_NAME_BYTES,
    MAX_NESTING, MAX_PAIRS, MAX_READ_DIMS, MAX_STRING_BYTES, MAX_TENSORS,
};
pub use parse::{Parsed, Parser, Step, parse};
#[cfg(feature = "models")]
pub use serialization::HeaderAssembler;
pub use shards::{SPLIT_KEYS, join};
pub use tensor_type::{TensorType, TypeRow};
pub use value::{Array, Cursor, Items, Value, ValueType, array_items};
#[cfg(feature = "models")]
pub(crate) use write::HeaderWriter;
pub use write::{DataRange, HeaderLayout, Record, encode_pair, write_header};
