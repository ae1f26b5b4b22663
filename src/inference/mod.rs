//! Runs a model without having it in memory: logits and importance matrices, layer by layer.
//!
//! [`Model`] checks the metadata and tensors of a GGUF file, [`Forward`] is a pass of token sequences through it. The
//! pass does no I/O: it requests rows of tensors and takes their bytes. Weights of any dtype are decoded to single
//! precision, in which everything is computed, with the same bits on every machine.

mod architecture;
mod attention;
mod evaluate;
mod experts;
mod forward;
mod importance;
pub mod math;
pub mod matmul;
mod model;
mod parameters;
mod rope;
pub mod tokenizer;

pub use architecture::{Activation, Architecture, Experts, HeadNorm};
pub use evaluate::{Divergence, DivergenceReport, Estimate, Perplexity, base_row_bytes, chunks, write_base_row};
pub use forward::{Forward, Logits, Next, Options, Request};
pub use importance::{Importance, Sums};
pub use model::Model;
pub use parameters::Parameters;
pub use rope::{Pairing, Rope, Yarn};
pub use tokenizer::{TokenizeOptions, Tokenizer};
