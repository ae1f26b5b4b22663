//! Runs a model without having it in memory: logits, importance matrices, perplexity and divergence, layer by layer.
//!
//! [`Model`] checks the metadata and tensors of a GGUF file, [`Forward`] is a pass of token sequences through it, and [`Run`]
//! takes a whole text through one or two models. None does I/O: they request rows of tensors and take their bytes. Weights
//! of any dtype are decoded to single precision, in which everything is computed, with the same bits on every machine.

mod architecture;
mod attention;
mod evaluate;
mod experts;
mod forward;
mod importance;
mod language_model;
pub mod math;
pub mod matmul;
mod model;
mod parameters;
mod rope;
mod run;
pub mod tokenizer;

pub use architecture::{Activation, Architecture, Experts, HeadNorm};
pub use evaluate::{
    Divergence, DivergenceReport, Estimate, Percentile, Perplexity, PerplexityReport, base_row_bytes, chunks,
    write_base_row,
};
pub use forward::{Forward, Logits, Next, Options, Request};
pub use importance::{Importance, Sums};
pub use language_model::LanguageModel;
pub use model::Model;
pub use parameters::Parameters;
pub use rope::{Pairing, Rope, Yarn};
pub use run::{Read, Run, RunOptions};
pub use tokenizer::{TokenizeOptions, Tokenizer};
