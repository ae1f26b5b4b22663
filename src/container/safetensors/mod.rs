//! safetensors: the length of a JSON header, the header, then the tensors' bytes without a gap.
//!
//! ```text
//! 0  u64 length of the header
//! 8  { "__metadata__": { string: string }, NAME: { "dtype", "shape", "data_offsets": [begin, end] }, ... }
//!    data, offsets count from here
//! ```
//!
//! Little-endian; the last dimension is the row length. A model may be in several such files, with an index that says
//! which tensor is where. Every rule of the reference reader is checked: each byte of the data belongs to exactly one
//! tensor. Source: `safetensors/src/tensor.rs` (Apache-2.0).

mod index;
mod parse;

pub use index::{Index, parse_index};
pub use parse::{Parsed, SafetensorsHeader, SafetensorsTensor, is_safetensors, parse};

/// The length of a header: the reference's own limit.
pub const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Dimensions of a tensor.
pub const MAX_DIMS: usize = 8;
