//! Categories of tensors by name, and the tensors that are never quantized.

use super::diffusion::KeptTensors;
use super::name_table::{Match, NameTable};
use crate::container::gguf::Tensor;

/// The categories that rules distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    TokenEmbedding,
    AttentionQ,
    AttentionV,
    AttentionK,
    AttentionQkv,
    AttentionKvB,
    AttentionOutput,
    FfnUp,
    FfnGate,
    FfnDown,
    Output,
    Other,
}

/// The first match applies.
const CATEGORIES: &[(Match, Category)] = &[
    (Match::Is("output.weight"), Category::Output),
    (Match::Is("token_embd.weight"), Category::TokenEmbedding),
    (Match::Is(PER_LAYER_EMBEDDING), Category::TokenEmbedding),
    (Match::Contains("attn_qkv.weight"), Category::AttentionQkv),
    (Match::Contains("attn_kv_b.weight"), Category::AttentionKvB),
    (Match::Contains("attn_v.weight"), Category::AttentionV),
    (Match::Contains("attn_k.weight"), Category::AttentionK),
    (Match::Contains("attn_q.weight"), Category::AttentionQ),
    (Match::Contains("attn_output.weight"), Category::AttentionOutput),
    (Match::Contains("ffn_up"), Category::FfnUp),
    (Match::Contains("ffn_gate"), Category::FfnGate),
    (Match::Contains("ffn_down"), Category::FfnDown),
];

/// The additional per-layer embedding of some models.
pub(super) const PER_LAYER_EMBEDDING: &str = "per_layer_token_embd.weight";

/// Finds the categories of tensor names.
#[derive(Clone, Debug)]
pub(super) struct Categories(NameTable<Category>);

impl Categories {
    pub fn new() -> Self {
        Categories(NameTable::new(CATEGORIES.iter().copied()))
    }

    /// The category of a tensor name.
    pub fn of(&self, name: &str) -> Category {
        self.0.find(name).unwrap_or(Category::Other)
    }
}

impl Category {
    /// Whether these are attention values, alone or fused with queries and keys; they are more sensitive than other
    /// weights.
    pub fn is_values(self) -> bool {
        matches!(self, Category::AttentionV | Category::AttentionQkv | Category::AttentionKvB)
    }
}

/// Tensors that keep their type in every architecture, with the reason.
const KEPT: &[(Match, &str)] = &[
    (Match::Contains("_norm.weight"), "norms are kept"),
    (Match::Contains("ffn_gate_inp.weight"), "the experts' gate is kept"),
    (Match::Contains("ffn_gate_tid2eid.weight"), "the experts' routing table is kept"),
    (Match::Contains("altup"), "alternating-update weights are tiny and kept"),
    (Match::Contains("laurel"), "learned augmented residuals are tiny and kept"),
    (Match::Contains("per_layer_model_proj"), "per-layer projections are small and kept"),
    (Match::Is("position_embd.weight"), "position embeddings are kept"),
    (Match::Is("token_types.weight"), "token types are kept"),
    (Match::Contains("ssm_conv1d"), CONVOLUTION),
    (Match::Contains("shortconv.conv.weight"), CONVOLUTION),
    (Match::Contains("indexer.k_proj.weight"), INDEXER),
    (Match::Contains("indexer.q_proj.weight"), INDEXER),
    (Match::Contains("time_mix_first.weight"), RWKV),
    (Match::Contains("time_mix_w0.weight"), RWKV),
    (Match::Contains("time_mix_w1.weight"), RWKV),
    (Match::Contains("time_mix_w2.weight"), RWKV),
    (Match::Contains("time_mix_v0.weight"), RWKV),
    (Match::Contains("time_mix_v1.weight"), RWKV),
    (Match::Contains("time_mix_v2.weight"), RWKV),
    (Match::Contains("time_mix_a0.weight"), RWKV),
    (Match::Contains("time_mix_a1.weight"), RWKV),
    (Match::Contains("time_mix_a2.weight"), RWKV),
    (Match::Contains("time_mix_g1.weight"), RWKV),
    (Match::Contains("time_mix_g2.weight"), RWKV),
    (Match::Contains("time_mix_decay_w1.weight"), RWKV),
    (Match::Contains("time_mix_decay_w2.weight"), RWKV),
    (Match::Contains("time_mix_lerp_fused.weight"), RWKV),
    (Match::Contains("attn_rel_b.weight"), "relative position biases are kept"),
    (Match::Contains(".position_embd"), VISION),
    (Match::Contains("sam.pos_embd"), VISION),
    (Match::Contains("sam.neck."), VISION),
    (Match::Contains("sam.net_"), VISION),
    (Match::Contains(".rel_pos"), VISION),
    (Match::Contains(".patch_embd"), VISION),
    (Match::Contains(".patch_merger"), VISION),
    (Match::Contains("a.rvq.codebook"), AUDIO),
    (Match::Contains("mm.a.code_embd"), AUDIO),
];

const CONVOLUTION: &str = "small convolutions are kept";
const INDEXER: &str = "the indexer's projections are tiny and kept";
const RWKV: &str = "RWKV's small time-mix weights are kept";
const VISION: &str = "the vision tower's position and patch weights are kept";
const AUDIO: &str = "audio codebooks are kept";

/// Tensors that keep their type in one architecture, with the reason.
const KEPT_IN: &[(&str, &[&str], &str)] = &[(
    "glm5-next",
    &[
        "hc_",
        "indexer.attn_q_b",
        "indexer.attn_k",
        "indexer.proj",
        "indexer_compressor_gate",
        "indexer_compressor_ape",
        "ssm_f_a.weight",
        "ssm_f_b.weight",
        "ssm_g_a.weight",
        "ssm_g_b.weight",
        "ssm_beta.weight",
        "attn_kv_a_mqa.weight",
        "attn_k_b.weight",
        "attn_v_b.weight",
    ],
    "this architecture's small control weights are kept",
)];

/// Finds the tensors of an architecture that are never quantized.
#[derive(Clone, Debug)]
pub(super) struct KeptNames {
    names: NameTable<&'static str>,
    diffusion: Option<&'static KeptTensors>,
}

impl KeptNames {
    pub fn of(architecture: &str) -> Self {
        let own = KEPT_IN.iter().filter(|(owner, ..)| *owner == architecture);
        let own = own.flat_map(|(_, parts, why)| parts.iter().map(|part| (Match::Contains(part), *why)));
        let names = NameTable::new(KEPT.iter().copied().chain(own));
        KeptNames { names, diffusion: KeptTensors::of(architecture) }
    }

    /// The reason why a tensor with the output name `name` is never quantized, if there is one.
    pub fn reason(&self, tensor: &Tensor, name: &str) -> Option<&'static str> {
        if tensor.dimensions() < 2 {
            return Some("one-dimensional tensors are kept");
        }
        // The reference tests whether `rfind("weight")` equals `size() - 6`; both wrap to the same value for names of
        // five letters.
        if !name.ends_with("weight") && name.len() != 5 {
            return Some("only tensors named weight are quantized");
        }
        self.names.find(name).or_else(|| self.diffusion.and_then(|kept| kept.reason(tensor, name)))
    }
}
