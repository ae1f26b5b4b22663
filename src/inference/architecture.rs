//! The supported architectures, as a table of their differences.

use super::rope::Pairing;
use crate::error::{Code, Error, Result};

/// The differences between transformer architectures.
#[derive(Debug)]
pub struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// Which values of a head RoPE rotates together.
    pub pairing: Pairing,
    /// Whether attention and feed-forward network have a norm before them.
    pub norm_before: bool,
    /// Whether their outputs have a norm before they are added.
    pub norm_after: bool,
    /// The norms of queries and keys.
    pub head_norm: HeadNorm,
    /// The activation of the feed-forward network.
    pub activation: Activation,
    /// Whether `ffn_up` holds the gate's rows too, before its own.
    pub fused_gate: bool,
    /// Whether embeddings are multiplied by the square root of their length.
    pub scaled_embedding: bool,
    /// Every how many layers one has full attention if the metadata does not state it; 0 if all have.
    pub window_period: u64,
    /// The window if the metadata does not state it; 0 if there is none.
    pub window: u64,
    /// The base of RoPE's angles in layers with a window; `None` if it is that of the others.
    pub window_base: Option<f32>,
    /// Every how many layers one has no RoPE; 0 if all have.
    pub no_rope_period: u64,
    /// The defaults of the soft caps of attention scores and of logits; 0 if there are none.
    pub soft_caps: [f32; 2],
    /// The number of layers of the model whose attention is scaled by the width of all heads; 0 if there is none.
    pub wide_scale_layers: u64,
    /// Whether models may have experts instead of one feed-forward network.
    pub experts: Experts,
    /// Linear layers other than queries, keys and values that may have a bias.
    pub biases: &'static [&'static str],
    /// Whether the model may have its own output matrix instead of the embedding's.
    pub own_output: bool,
}

/// The norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNorm {
    /// None.
    None,
    /// Each head by itself.
    Head,
    /// All heads together.
    Row,
}

/// Whether models have experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Experts {
    /// Never.
    Never,
    /// If `expert_count` is not 0.
    Maybe,
    /// Always.
    Always,
}

/// The activation of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// SiLU.
    Silu,
    /// GELU, as ggml tabulates it.
    Gelu,
}

const LLAMA: Architecture = Architecture {
    name: "llama",
    pairing: Pairing::Adjacent,
    norm_before: true,
    norm_after: false,
    head_norm: HeadNorm::None,
    activation: Activation::Silu,
    fused_gate: false,
    scaled_embedding: false,
    window_period: 0,
    window: 0,
    window_base: None,
    no_rope_period: 0,
    soft_caps: [0.0, 0.0],
    wide_scale_layers: 0,
    experts: Experts::Never,
    biases: &[],
    own_output: true,
};

/// Mistral models have `llama` in their files. The windows that `llama`, `phi3` and `qwen2` files may state are ignored,
/// as in llama.cpp.
static ARCHITECTURES: &[Architecture] = &[
    Architecture { experts: Experts::Maybe, biases: &["attn_output", "ffn_gate", "ffn_up", "ffn_down"], ..LLAMA },
    Architecture { name: "smollm3", no_rope_period: 4, ..LLAMA },
    Architecture { name: "qwen2", pairing: Pairing::Halves, biases: &["output"], ..LLAMA },
    Architecture { name: "qwen3", pairing: Pairing::Halves, head_norm: HeadNorm::Head, ..LLAMA },
    Architecture {
        name: "qwen3moe",
        pairing: Pairing::Halves,
        head_norm: HeadNorm::Head,
        experts: Experts::Always,
        ..LLAMA
    },
    Architecture {
        name: "gemma2",
        pairing: Pairing::Halves,
        norm_after: true,
        activation: Activation::Gelu,
        scaled_embedding: true,
        window_period: 2,
        window: 4096,
        soft_caps: [50.0, 30.0],
        wide_scale_layers: 46,
        own_output: false,
        ..LLAMA
    },
    Architecture {
        name: "gemma3",
        pairing: Pairing::Halves,
        norm_after: true,
        head_norm: HeadNorm::Head,
        activation: Activation::Gelu,
        scaled_embedding: true,
        window_period: 6,
        window_base: Some(10_000.0),
        wide_scale_layers: 62,
        ..LLAMA
    },
    Architecture { name: "phi3", pairing: Pairing::Halves, fused_gate: true, ..LLAMA },
    Architecture {
        name: "olmo2",
        pairing: Pairing::Halves,
        norm_before: false,
        norm_after: true,
        head_norm: HeadNorm::Row,
        window_period: 4,
        ..LLAMA
    },
];

impl Architecture {
    /// The row of an architecture.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] if it is not in the table.
    pub fn by_name(name: &str) -> Result<&'static Architecture> {
        ARCHITECTURES.iter().find(|row| row.name == name).ok_or_else(|| {
            let names: Vec<_> = ARCHITECTURES.iter().map(|row| row.name).collect();
            let what = if name.is_empty() { "a model without 'general.architecture'" } else { name };
            let message = format!("cannot run {what}: the supported architectures are {}", names.join(", "));
            Error::new(Code::UNSUPPORTED, message).with("architecture", name)
        })
    }
}
