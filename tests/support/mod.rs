//! What the integration tests share.
#![allow(dead_code)] // every test binary uses its own part

pub mod convert;
pub mod folders;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
pub mod ggml;
pub mod golden;
pub mod lanes;
pub mod layout;
pub mod tally;
pub mod weights;
