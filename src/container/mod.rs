//! File formats: GGUF, safetensors and importance matrices. The parsers and writers do no I/O.
//!
//! A parser takes the first bytes of a file and the file's size. It returns what it has parsed, the number of bytes it
//! needs to continue, or an error. No input makes it panic, and it never allocates more than the bytes that are
//! actually there: a count in a file is checked against them before anything is allocated.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod gguf;
pub mod imatrix;
mod reader;
pub mod safetensors;
mod sidecar;

pub use sidecar::check_sidecar_name;
