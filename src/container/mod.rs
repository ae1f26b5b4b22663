//! Files: GGUF, safetensors and importance matrices. Parsers and writers that do no I/O.
//!
//! A parser is handed the bytes there are and the size of the file; it answers with what it read, with how many bytes it
//! needs to go on, or with one error. Nothing here panics on any input and nothing grows faster than the bytes that are
//! really there: a claimed count is only ever compared, never allocated for.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod gguf;
pub mod imatrix;
mod reader;
pub mod safetensors;
mod sidecar;

pub use sidecar::check_sidecar_name;
