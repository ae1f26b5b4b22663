//! The supported architectures, as a table; adding one means adding rows.

use crate::error::{Code, Error, Result};
use crate::json::Value;

/// An architecture of llama.cpp.
#[derive(Debug)]
pub(super) struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// The names in `architectures` of config.json. Bare models have no `model.` prefix in their tensor names.
    classes: &'static [&'static str],
    /// `model_type` of config.json, from which transformers derives the defaults of missing keys.
    pub model_type: &'static str,
    /// An optional prefix of all tensor names, which is ignored.
    prefix: &'static str,
    /// The mapping of its tensors.
    tensors: &'static [TensorName],
    /// Prefixes of the names of tensors that are omitted.
    ignored: &'static [&'static str],
    /// Defaults for missing keys of config.json.
    pub defaults: &'static [(&'static str, f64)],
    /// Whether rows of queries and keys are permuted, interleaving the two halves of each head.
    pub interleaved: bool,
    /// Whether it is an encoder: attention is not causal, and positions are learned.
    pub encoder: bool,
    /// Whether it may be a sentence embedding model, which pools tokens.
    pub pooled: bool,
    /// Whether `vocab_size` and `rope.dimension_count` are written.
    pub sized: bool,
    /// Whether the head width is written even if config.json does not state it.
    pub head_width: bool,
}

/// A tensor's name in safetensors and in GGUF, where `#` is the number of the layer, and its special treatment.
type TensorName = (&'static str, &'static str, Kind);

/// The special treatment of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Depends on its shape and name only.
    Plain,
    /// Always in F32.
    Precise,
    /// Query heads.
    Queries,
    /// Key heads.
    Keys,
}
use Kind::{Keys, Plain, Precise, Queries};

/// Whether, and with which number of heads, the rows of a tensor are permuted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rotary {
    None,
    Queries,
    Keys,
}

/// The mapping of one tensor.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name in GGUF.
    pub name: String,
    /// Whether it is in F32 whatever its shape.
    pub precise: bool,
    /// Which heads its rows belong to, if they are permuted.
    pub rotary: Rotary,
}

impl Row {
    /// A tensor without special treatment.
    pub fn plain(name: &str) -> Row {
        Row { name: name.to_owned(), precise: false, rotary: Rotary::None }
    }
}

/// llama, and architectures with the same tensor names.
const LLAMA: &[TensorName] = &[
    ("model.embed_tokens", "token_embd", Plain),
    ("model.norm", "output_norm", Plain),
    ("lm_head", "output", Plain),
    ("model.layers.#.input_layernorm", "blk.#.attn_norm", Plain),
    ("model.layers.#.self_attn.q_proj", "blk.#.attn_q", Queries),
    ("model.layers.#.self_attn.k_proj", "blk.#.attn_k", Keys),
    ("model.layers.#.self_attn.v_proj", "blk.#.attn_v", Plain),
    ("model.layers.#.self_attn.o_proj", "blk.#.attn_output", Plain),
    ("model.layers.#.self_attn.q_norm", "blk.#.attn_q_norm", Plain),
    ("model.layers.#.self_attn.k_norm", "blk.#.attn_k_norm", Plain),
    ("model.layers.#.post_attention_layernorm", "blk.#.ffn_norm", Plain),
    ("model.layers.#.mlp.gate_proj", "blk.#.ffn_gate", Plain),
    ("model.layers.#.mlp.up_proj", "blk.#.ffn_up", Plain),
    ("model.layers.#.mlp.down_proj", "blk.#.ffn_down", Plain),
];

const BERT: &[TensorName] = &[
    ("embeddings.word_embeddings", "token_embd", Plain),
    ("embeddings.position_embeddings", "position_embd", Precise),
    ("embeddings.token_type_embeddings", "token_types", Precise),
    ("embeddings.LayerNorm", "token_embd_norm", Plain),
    ("encoder.layer.#.attention.self.query", "blk.#.attn_q", Plain),
    ("encoder.layer.#.attention.self.key", "blk.#.attn_k", Plain),
    ("encoder.layer.#.attention.self.value", "blk.#.attn_v", Plain),
    ("encoder.layer.#.attention.output.dense", "blk.#.attn_output", Plain),
    ("encoder.layer.#.attention.output.LayerNorm", "blk.#.attn_output_norm", Plain),
    ("encoder.layer.#.intermediate.dense", "blk.#.ffn_up", Plain),
    ("encoder.layer.#.output.dense", "blk.#.ffn_down", Plain),
    ("encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm", Plain),
];

const DECODER: Architecture = Architecture {
    name: "",
    classes: &[],
    model_type: "",
    prefix: "",
    tensors: LLAMA,
    ignored: &[],
    defaults: &[],
    interleaved: false,
    encoder: false,
    pooled: false,
    sized: false,
    head_width: false,
};

static ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "llama",
        classes: &["LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"],
        model_type: "llama",
        defaults: &[("max_position_embeddings", 2048.0), ("rms_norm_eps", 1e-6), ("rope_theta", 10000.0)],
        interleaved: true,
        sized: true,
        head_width: true,
        ..DECODER
    },
    Architecture {
        name: "llama",
        classes: &["MistralForCausalLM"],
        model_type: "mistral",
        defaults: &[
            ("max_position_embeddings", 131_072.0),
            ("num_key_value_heads", 8.0),
            ("rms_norm_eps", 1e-6),
            ("rope_theta", 10000.0),
        ],
        interleaved: true,
        sized: true,
        head_width: true,
        ..DECODER
    },
    Architecture {
        name: "qwen2",
        classes: &["Qwen2ForCausalLM", "Qwen2Model"],
        model_type: "qwen2",
        pooled: true,
        defaults: &[
            ("max_position_embeddings", 32768.0),
            ("num_key_value_heads", 32.0),
            ("rms_norm_eps", 1e-6),
            ("rope_theta", 10000.0),
        ],
        ..DECODER
    },
    Architecture {
        name: "qwen3",
        classes: &["Qwen3ForCausalLM", "Qwen3Model"],
        model_type: "qwen3",
        pooled: true,
        defaults: &[
            ("max_position_embeddings", 32768.0),
            ("num_key_value_heads", 32.0),
            ("head_dim", 128.0),
            ("rms_norm_eps", 1e-6),
            ("rope_theta", 10000.0),
        ],
        ..DECODER
    },
    Architecture {
        name: "bert",
        classes: &["BertModel", "BertForMaskedLM"],
        model_type: "bert",
        prefix: "bert.",
        tensors: BERT,
        ignored: &["embeddings.position_ids", "pooler.dense.", "cls.predictions", "cls.seq_relationship"],
        defaults: &[("max_position_embeddings", 512.0), ("layer_norm_eps", 1e-12), ("type_vocab_size", 2.0)],
        encoder: true,
        pooled: true,
        ..DECODER
    },
];

/// The class of a model according to its config.json.
pub(in crate::convert) fn class(config: &Value) -> Option<&str> {
    config.get("architectures")?.as_list()?.first()?.as_str()
}

/// Whether models of a class are supported.
pub(in crate::convert) fn converts(class: &str) -> bool {
    ARCHITECTURES.iter().any(|architecture| architecture.classes.contains(&class))
}

/// Suffixes of the names of tensors that no program needs.
const USELESS: &[&str] = &[".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"];

impl Architecture {
    /// The architecture that config.json names.
    pub fn of(config: &Value) -> Result<&'static Architecture> {
        let Some(named) = class(config) else {
            let message = "config.json has no 'architectures' with the class of the model";
            return Err(Error::new(Code::MALFORMED, message).with("file", "config.json"));
        };
        ARCHITECTURES.iter().find(|architecture| architecture.classes.contains(&named)).ok_or_else(|| {
            let message = format!("config.json: {named} cannot be converted");
            Error::new(Code::UNSUPPORTED, message).with("file", "config.json").with("architecture", named)
        })
    }

    /// The mapping of a tensor; `None` if it is omitted.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a name that is not in the table, or a layer beyond the last.
    pub fn place(&self, name: &str, layers: u64) -> Result<Option<Row>> {
        let bare = name.strip_prefix(self.prefix).unwrap_or(name);
        if self.ignored.iter().any(|start| bare.starts_with(start)) || USELESS.iter().any(|end| bare.ends_with(end)) {
            return Ok(None);
        }
        let found = bare.rsplit_once('.').and_then(|(stem, suffix)| {
            // TensorFlow's names for the parameters of a norm.
            let suffix = [("gamma", "weight"), ("beta", "bias")]
                .iter()
                .find(|(old, _)| *old == suffix)
                .map_or(suffix, |(_, new)| new);
            let (place, layer) = self.tensors.iter().find_map(|place| Some((place, matched(stem, place.0)?)))?;
            let known = layer.is_none_or(|layer| layer < layers) && ["weight", "bias"].contains(&suffix);
            let layer = layer.map_or(String::new(), |layer| layer.to_string());
            known.then(|| Row {
                name: format!("{}.{suffix}", place.1.replace('#', &layer)),
                precise: place.2 == Precise,
                rotary: match place.2 {
                    Queries if self.interleaved => Rotary::Queries,
                    Keys if self.interleaved => Rotary::Keys,
                    _ => Rotary::None,
                },
            })
        });
        found.map(Some).ok_or_else(|| {
            let message = format!("tensor '{name}' does not belong to a {} model with {layers} layers", self.name);
            Error::new(Code::UNSUPPORTED, message).with("tensor", name)
        })
    }
}

/// Matches a name against a pattern, with or without a `model.` prefix. Returns the layer, if the pattern has one.
fn matched(name: &str, pattern: &str) -> Option<Option<u64>> {
    let bare = pattern.strip_prefix("model.").unwrap_or(pattern);
    [pattern, bare].iter().find_map(|pattern| match pattern.split_once('#') {
        None => (name == *pattern).then_some(None),
        Some((before, after)) => {
            let digits = name.strip_prefix(before)?.strip_suffix(after)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            digits.parse().ok().filter(|_| plain).map(Some)
        }
    })
}
