//! safetensors: the length of a JSON header, the header, then the tensors' data without gaps.
//!
//! ```text
//! 0  u64 length of the header
//! 8  { "__metadata__": { string: string }, NAME: { "dtype", "shape", "data_offsets": [begin, end] }, ... }
//!    data, offsets count from here
//! ```
//!
//! Little-endian; the last dimension is the row length. A model may consist of several such files and an index that
//! assigns tensors to files. Every rule of the reference reader is checked, including that each byte of data belongs to
//! exactly one tensor. Source: `safetensors/src/tensor.rs` (Apache-2.0).

mod index;
mod parse;

pub use index::{Index, parse_index};
pub use parse::{MAX_DIMS, MAX_HEADER_BYTES, Parsed, SafetensorsHeader, SafetensorsTensor, is_safetensors, parse};
