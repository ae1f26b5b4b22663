//! config.json to the hyperparameters of the model.

use super::architecture::{Architecture, Rotary};
use super::files::{Files, bad};
use super::metadata::MetadataBuilder;
use crate::error::{Code, Result};
use crate::json::Value;
use crate::sort::sorted;

const FILE: &str = "config.json";
/// The maximum width of a head. The widest known have 512.
const MAX_HEAD: u64 = 1 << 16;

/// Keys of other models, for which the script would write different or additional metadata.
const FOREIGN: &[&str] = &[
    "n_layers",
    "n_heads",
    "n_kv_heads",
    "prefix_dense_intermediate_size",
    "dense_intermediate_size",
    "global_rope_theta",
    "rope_global_theta",
    "rope_theta_global",
    "local_rope_theta",
    "rope_local_theta",
    "rope_theta_local",
    "swa_rope_theta",
    "rope_local_base_freq",
    "norm_eps",
    "layer_norm_epsilon",
    "norm_epsilon",
    "num_experts_per_tok",
    "num_experts_per_token",
    "top_k_experts",
    "n_group",
    "topk_group",
    "score_function",
    "scoring_func",
    "score_func",
    "moe_router_activation",
    "moe_router_activation_func",
    "expert_selection_fn",
    "classifier_pooling",
    "draft_vocab_size",
    "transformer_layer_config",
    "text_config",
    "llm_config",
    "lm_config",
    "thinker_config",
    "language_config",
    "lfm",
];
/// The same for encoders.
const FOREIGN_TO_ENCODERS: &[&str] =
    &["rope_theta", "rotary_emb_base", "rope_scaling", "rope_parameters", "num_key_value_heads", "rms_norm_eps"];
/// The same within the RoPE scaling.
const FOREIGN_TO_SCALING: &[&str] = &["mrope_section", "full_attention", "sliding_attention"];

/// Llama 3.1's RoPE scaling.
#[derive(Debug)]
pub(super) struct Llama3 {
    pub base: f64,
    /// The width of a head.
    pub columns: u64,
    pub factor: f64,
    pub low: f64,
    pub high: f64,
    /// The context length of the original training.
    pub length: f64,
}

/// The hyperparameters against which tensors and tokens are checked.
#[derive(Debug)]
pub(super) struct HParams<'a> {
    config: &'a Value,
    pub architecture: &'static Architecture,
    /// The number of layers.
    pub layers: u64,
    /// The number of tokens for which the model has weights.
    pub tokens: u64,
    heads: u64,
    key_heads: Option<u64>,
    head_width: Option<u64>,
}

impl<'a> HParams<'a> {
    pub fn read(config: &'a Value, architecture: &'static Architecture) -> Result<Self> {
        let mut read =
            HParams { config, architecture, layers: 0, tokens: 0, heads: 0, key_heads: None, head_width: None };
        if read.given("quantization_config").is_some() {
            let message = "quantization_config: the weights are already quantized; open the original model";
            return Err(bad(FILE, Code::UNSUPPORTED, message));
        }
        if let Some(key) =
            ["num_local_experts", "num_experts", "n_routed_experts"].iter().find(|key| read.given(key).is_some())
        {
            return Err(bad(FILE, Code::UNSUPPORTED, format!("{key}: mixture-of-experts models are not supported")));
        }
        read.refuse_foreign()?;
        read.layers = read.need("num_hidden_layers")?;
        read.tokens = read.need("vocab_size")?;
        read.heads = read.need("num_attention_heads")?;
        if !architecture.encoder {
            // Null means as many as query heads; a missing key means the architecture's default.
            let stated = config.get("num_key_value_heads").is_some_and(|value| *value == Value::Null);
            let heads = if stated { None } else { read.count("num_key_value_heads")? };
            read.key_heads = Some(heads.unwrap_or(read.heads));
        }
        read.head_width = read.count("head_dim")?;
        if architecture.head_width && read.head_width.is_none() {
            read.head_width = read.need("hidden_size")?.checked_div(read.heads);
        }
        if read.heads == 0 || read.key_heads == Some(0) {
            return Err(bad(FILE, Code::MALFORMED, "a model must have at least one head"));
        }
        Ok(read)
    }

    /// Rejects keys that the script handles but this conversion does not.
    fn refuse_foreign(&self) -> Result<()> {
        let (kind, known) = (self.config.get("model_type").and_then(Value::as_str), self.architecture.model_type);
        if kind != Some(known) {
            let message = format!("model_type is {}, but its architecture has {known}", kind.unwrap_or("missing"));
            return Err(bad(FILE, Code::UNSUPPORTED, message));
        }
        let scaling = ["rope_scaling", "rope_parameters"].into_iter().filter_map(|name| self.config.get(name));
        let of_encoders = if self.architecture.encoder { FOREIGN_TO_ENCODERS } else { &[] };
        let all = FOREIGN.iter().chain(of_encoders).map(|key| (self.config, key));
        let all = all.chain(scaling.flat_map(|scaling| FOREIGN_TO_SCALING.iter().map(move |key| (scaling, key))));
        match all.into_iter().find(|(object, key)| object.get(key).is_some()) {
            Some((_, key)) => {
                Err(bad(FILE, Code::UNSUPPORTED, format!("{key} is not supported for this kind of model")))
            }
            None => Ok(()),
        }
    }

    /// The number of heads to permute; 0 if none are.
    pub fn heads_of(&self, rotary: Rotary) -> u64 {
        match rotary {
            Rotary::None => 0,
            Rotary::Queries => self.heads,
            Rotary::Keys => self.key_heads.unwrap_or(self.heads),
        }
    }

    /// The value of a key, if it is there and not null.
    fn given(&self, key: &str) -> Option<&'a Value> {
        self.config.get(key).filter(|value| **value != Value::Null)
    }

    /// Whether a key is true.
    pub fn flag(&self, key: &str) -> bool {
        self.given(key) == Some(&Value::Bool(true))
    }

    /// A number, or the architecture's default.
    fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.given(key) {
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(bad(FILE, Code::MALFORMED, format!("{key} is not a number"))),
            None => match self.architecture.defaults.iter().find(|(known, _)| *known == key) {
                Some(_) if self.config.get(key).is_some() => {
                    Err(bad(FILE, Code::MALFORMED, format!("{key} is null, but must be a number")))
                }
                found => Ok(found.map(|(_, number)| *number)),
            },
        }
    }

    /// A number that fits a u32.
    fn count(&self, key: &str) -> Result<Option<u64>> {
        let Some(number) = self.number(key)? else { return Ok(None) };
        whole(number)
            .map(Some)
            .ok_or_else(|| bad(FILE, Code::MALFORMED, format!("{key} is {number}, but must be a non-negative integer")))
    }

    fn need(&self, key: &str) -> Result<u64> {
        self.count(key)?.ok_or_else(|| bad(FILE, Code::MALFORMED, format!("it has no {key}")))
    }

    /// Writes `ARCH.*` and the file type.
    pub fn write(&self, file_type: u32, files: &Files, out: &mut MetadataBuilder) -> Result<()> {
        let key = |name: &str| format!("{}.{name}", self.architecture.name);
        out.u32(&key("block_count"), self.layers as u32);
        for (name, from) in [
            ("context_length", "max_position_embeddings"),
            ("embedding_length", "hidden_size"),
            ("feed_forward_length", "intermediate_size"),
            ("attention.head_count", "num_attention_heads"),
        ] {
            out.u32(&key(name), self.need(from)? as u32);
        }
        if let Some(heads) = self.key_heads {
            out.u32(&key("attention.head_count_kv"), heads as u32);
        }
        if self.given("is_causal") == Some(&Value::Bool(false)) {
            out.bool(&key("attention.causal"), false);
        }
        if !self.architecture.encoder {
            self.write_positions(&key, out)?;
        }
        for (name, from) in
            [("attention.layer_norm_rms_epsilon", "rms_norm_eps"), ("attention.layer_norm_epsilon", "layer_norm_eps")]
        {
            if let Some(number) = self.number(from)? {
                out.f32(&key(name), number);
            }
        }
        if let Some(width) = self.head_width {
            out.u32(&key("attention.key_length"), width as u32);
            out.u32(&key("attention.value_length"), width as u32);
        }
        out.u32("general.file_type", file_type);
        if self.architecture.sized {
            out.u32(&key("vocab_size"), self.tokens as u32);
            out.u32(&key("rope.dimension_count"), self.head_width.unwrap_or(0) as u32);
        }
        if self.architecture.encoder {
            out.bool(&key("attention.causal"), false);
        }
        if let Some(pooling) = pooling(files).filter(|_| self.architecture.pooled).transpose()? {
            out.u32(&key("pooling_type"), pooling);
        }
        if self.architecture.encoder {
            let labels = self.labels()?;
            if !labels.is_empty() {
                out.texts(&key("classifier.output_labels"), labels.into_iter());
            }
        }
        Ok(())
    }

    /// The labels of a classifier's outputs, in order; empty for transformers' two default labels.
    fn labels(&self) -> Result<Vec<&'a str>> {
        let labels = self.given("id2label").and_then(Value::as_object);
        let count = labels.map_or(2, |labels| labels.len() as u64);
        if let Some(stated) = self.given("num_labels").filter(|stated| stated.as_u64() != Some(count)) {
            let stated = stated.as_f64().unwrap_or(f64::NAN);
            let message = format!(
                "num_labels is {stated}, but id2label has {count} names; labels without names are not supported"
            );
            return Err(bad(FILE, Code::UNSUPPORTED, message));
        }
        let labels = labels.unwrap_or(&[]).iter().map(|(id, label)| Some((id.parse().ok()?, label.as_str()?)));
        let labels: Vec<(i64, &str)> = labels
            .collect::<Option<_>>()
            .ok_or_else(|| bad(FILE, Code::MALFORMED, "id2label must map numbers to strings"))?;
        let mut labels = sorted(&labels, Ord::cmp);
        if labels.len() == 2 && labels.first() == Some(&(0, "LABEL_0")) {
            labels.clear();
        }
        Ok(labels.into_iter().map(|(_, label)| label).collect())
    }

    fn scaling_has(&self, name: &str) -> bool {
        self.scalings().is_some_and(|scaling| scaling.get(name).is_some())
    }

    /// A key of the RoPE scaling.
    fn scaling(&self, name: &str) -> Option<&'a Value> {
        self.scalings()?.get(name).filter(|value| **value != Value::Null)
    }

    /// The whole RoPE scaling.
    fn scalings(&self) -> Option<&'a Value> {
        let old = self.given("rope_scaling").filter(|old| old.as_object().is_none_or(|members| !members.is_empty()));
        old.or(self.given("rope_parameters"))
    }

    fn scaling_number(&self, name: &str) -> Result<Option<f64>> {
        match self.scaling(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(bad(FILE, Code::MALFORMED, format!("{name} of the RoPE scaling is not a number"))),
        }
    }

    /// The type of the RoPE scaling.
    fn scaling_kind(&self) -> &'a str {
        self.scaling("rope_type")
            .or(self.scaling("type"))
            .map_or("default", |kind| kind.as_str().unwrap_or("not a string"))
    }

    /// The RoPE base (theta).
    fn base(&self) -> Result<Option<f64>> {
        Ok(self.scaling_number("rope_theta")?.or(self.number("rope_theta")?))
    }

    /// Llama 3.1's RoPE scaling, if the model has it.
    pub fn llama3(&self) -> Result<Option<Llama3>> {
        if !self.architecture.sized || self.scaling_kind() != "llama3" {
            return Ok(None);
        }
        let or = |name: &str, default: f64| Ok(self.scaling_number(name)?.unwrap_or(default));
        let scaling = Llama3 {
            base: self.base()?.unwrap_or(10000.0),
            columns: self.head_width.unwrap_or(0),
            factor: or("factor", 8.0)?,
            low: or("low_freq_factor", 1.0)?,
            high: or("high_freq_factor", 4.0)?,
            length: or("original_max_position_embeddings", 8192.0)?,
        };
        if !(2..=MAX_HEAD).contains(&scaling.columns) {
            return Err(bad(
                FILE,
                Code::MALFORMED,
                format!("head_dim is {}, but must be even for RoPE", scaling.columns),
            ));
        }
        Ok(Some(scaling))
    }

    /// Writes the RoPE parameters and their scaling.
    fn write_positions(&self, key: &impl Fn(&str) -> String, out: &mut MetadataBuilder) -> Result<()> {
        let number = |name: &str| self.scaling_number(name);
        match self.scaling_kind() {
            "default" | "dynamic" => {}
            // The script does not write its factors for these architectures.
            "longrope" => out.text(&key("rope.scaling.type"), "longrope"),
            // Stored as a tensor: see rope.rs.
            "llama3" if self.architecture.sized => {}
            kind @ ("linear" | "yarn") => {
                let Some(factor) = number("factor")? else {
                    return Err(bad(FILE, Code::MALFORMED, format!("the RoPE scaling {kind} has no factor")));
                };
                out.text(&key("rope.scaling.type"), kind);
                out.f32(&key("rope.scaling.factor"), factor);
                if kind == "yarn" {
                    let length =
                        number("original_max_position_embeddings")?.or(self.number("max_position_embeddings")?);
                    let length = length.and_then(whole).ok_or_else(|| {
                        bad(
                            FILE,
                            Code::MALFORMED,
                            "original_max_position_embeddings of the RoPE scaling must be a non-negative integer",
                        )
                    })?;
                    out.u32(&key("rope.scaling.original_context_length"), length as u32);
                    for (name, froms) in [
                        ("yarn_ext_factor", ["extrapolation_factor", ""]),
                        ("yarn_attn_factor", ["attention_factor", "attn_factor"]),
                        ("yarn_beta_fast", ["beta_fast", ""]),
                        ("yarn_beta_slow", ["beta_slow", ""]),
                    ] {
                        // The first name is used even if its value is null.
                        let from = froms.into_iter().find(|from| self.scaling_has(from)).unwrap_or(froms[0]);
                        if let Some(number) = number(from)? {
                            out.f32(&key(&format!("rope.scaling.{name}")), number);
                        }
                    }
                }
            }
            kind => {
                let message = format!("the RoPE scaling {kind} is not supported");
                return Err(bad(FILE, Code::UNSUPPORTED, message));
            }
        }
        if let Some(theta) = self.base()? {
            out.f32(&key("rope.freq_base"), theta);
        }
        Ok(())
    }

    /// The number of token types.
    pub fn token_types(&self) -> Result<u64> {
        Ok(self.count("type_vocab_size")?.unwrap_or(1))
    }

    /// The id of a special token according to config.json.
    pub fn token_id(&self, name: &str) -> Option<f64> {
        self.given(&format!("{name}_token_id")).and_then(Value::as_f64)
    }
}

fn whole(number: f64) -> Option<u64> {
    ((0.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// How the tokens of a sentence are pooled, according to the files of sentence-transformers.
fn pooling(files: &Files) -> Option<Result<u32>> {
    const POOLING: &str = "1_Pooling/config.json";
    const KINDS: &[(&str, &str, u32)] = &[
        ("pooling_mode_mean_tokens", "mean", 1),
        ("pooling_mode_cls_token", "cls", 2),
        ("pooling_mode_lasttoken", "lasttoken", 3),
    ];
    let modules = files.json("modules.json")?.as_list()?;
    let text = |module: &'_ Value, key: &str| module.get(key).and_then(Value::as_str).map(str::to_owned);
    let module = modules.iter().find(|module| text(module, "type").is_some_and(|kind| kind.ends_with("Pooling")))?;
    let config = files.json(POOLING).filter(|_| text(module, "path").as_deref() == Some("1_Pooling"));
    let Some(config) = config else {
        let message = "its pooling folder is not 1_Pooling, or has no config.json";
        return Some(Err(bad("modules.json", Code::MALFORMED, message)));
    };
    let chosen = KINDS.iter().find(|(key, ..)| config.get(key) == Some(&Value::Bool(true)));
    let named = || KINDS.iter().find(|(_, name, _)| config.get("pooling_mode").and_then(Value::as_str) == Some(name));
    Some(match chosen.or_else(named) {
        Some((.., number)) => Ok(*number),
        None => Err(bad(POOLING, Code::UNSUPPORTED, "only mean, cls and lasttoken pooling is supported")),
    })
}
