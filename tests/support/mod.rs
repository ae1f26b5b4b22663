//! Code shared by the integration tests.
#![allow(dead_code)] // each test program uses a part of it

pub mod convert;
pub mod folders;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub mod ggml;
pub mod golden;
pub mod lanes;
pub mod layout;
pub mod tally;
pub mod weights;
