//! The hyperparameters of a model, read from the metadata of its GGUF file.

use super::architecture::{Architecture, Experts, HeadNorm};
use super::rope::{Rope, Yarn};
use crate::container::gguf::{Header, Value, ValueType};
use crate::error::{Code, Error, Result};

/// The hyperparameters of a model.
#[derive(Debug)]
pub struct Parameters {
    /// The row of the table of architectures.
    pub architecture: &'static Architecture,
    /// The number of layers.
    pub layers: usize,
    /// The length of an embedding.
    pub width: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_heads: usize,
    /// Values per head of queries and keys.
    pub key_length: usize,
    /// Values per head of values.
    pub value_length: usize,
    /// Rows of the gate of the feed-forward network, of each expert if there are experts.
    pub hidden: usize,
    /// The number of experts; 0 if there are none.
    pub experts: usize,
    /// Experts used per token.
    pub experts_used: usize,
    /// The epsilon of the norms.
    pub epsilon: f32,
    /// RoPE in layers with full attention.
    pub rope: Rope,
    /// RoPE in layers with a window.
    pub window_rope: Rope,
    /// The number of keys that a query sees in layers with a window; 0 if there is none.
    pub window: usize,
    /// Which layers have the window.
    pub windowed: Vec<bool>,
    /// The factor of attention scores.
    pub attention_scale: f32,
    /// The soft caps of attention scores and of logits; 0 if there are none.
    pub soft_caps: [f32; 2],
    /// The context length that the model was made for; 0 if the metadata does not state it.
    pub context: u64,
    /// The context length up to which factors of the short kind apply (phi3).
    pub original_context: u64,
}

/// Limits of what metadata may claim. They are far above those of the largest known models and keep products of them
/// from overflowing.
const MAX_LAYERS: u64 = 4096;
const MAX_WIDTH: u64 = 1 << 20;
const MAX_HEADS: u64 = 1 << 14;
const MAX_EXPERTS: u64 = 1 << 14;
const MAX_CONTEXT: u64 = 1 << 32;

impl Parameters {
    /// Reads the hyperparameters.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for an architecture that is not in the table, or layers of different shapes;
    /// [`Code::MALFORMED`] for missing or impossible values.
    pub fn read(header: &Header) -> Result<Parameters> {
        let name = header.get("general.architecture").as_ref().and_then(Value::as_str);
        let architecture = Architecture::by_name(name.unwrap_or_default())?;
        let keys = Keys { header, prefix: architecture.name };
        let layers = keys.needed("block_count", MAX_LAYERS)?;
        let width = keys.needed("embedding_length", MAX_WIDTH)?;
        let heads = keys.needed("attention.head_count", MAX_HEADS)?;
        let key_heads = keys.number("attention.head_count_kv", MAX_HEADS)?.unwrap_or(heads);
        if !heads.is_multiple_of(key_heads) {
            let message = format!("{heads} heads of queries are not a multiple of {key_heads} heads of keys");
            return Err(keys.bad("attention.head_count_kv", &message));
        }
        let head = width / heads;
        let key_length = keys.number("attention.key_length", MAX_WIDTH)?.unwrap_or(head);
        let value_length = keys.number("attention.value_length", MAX_WIDTH)?.unwrap_or(head);
        let experts = match architecture.experts {
            Experts::Never => 0,
            Experts::Maybe | Experts::Always => keys.number_or_0("expert_count", MAX_EXPERTS)?,
        };
        let experts_used = if experts == 0 { 0 } else { keys.needed("expert_used_count", MAX_EXPERTS)? };
        if experts == 0 && architecture.experts == Experts::Always || experts_used > experts {
            return Err(keys.bad("expert_used_count", &format!("{experts_used} of {experts} experts cannot be used")));
        }
        let plain_hidden = keys.number("feed_forward_length", MAX_WIDTH)?;
        let hidden = match architecture.experts {
            Experts::Always => match keys.number("expert_feed_forward_length", MAX_WIDTH)? {
                Some(hidden) => Some(hidden),
                None => plain_hidden.map(|hidden| hidden / experts_used),
            },
            _ => plain_hidden,
        };
        let hidden = hidden.ok_or_else(|| keys.bad("feed_forward_length", "it is missing"))?;
        let dimensions = keys.number("rope.dimension_count", MAX_WIDTH)?.unwrap_or(key_length);
        if dimensions > key_length || !dimensions.is_multiple_of(2) {
            let message = format!("{dimensions} is odd, or more than the {key_length} values of a head");
            return Err(keys.bad("rope.dimension_count", &message));
        }
        let context = keys.number("context_length", MAX_CONTEXT)?.unwrap_or(0) as u64;
        let original_context =
            keys.number("rope.scaling.original_context_length", MAX_CONTEXT)?.map_or(context, |n| n as u64);
        let rope = keys.rope(dimensions, original_context)?;
        let window = match architecture.window_period {
            0 => 0,
            _ => keys.number_or_0("attention.sliding_window", MAX_CONTEXT)?,
        };
        let window = if window == 0 { architecture.window as usize } else { window };
        let window_base = keys.float("rope.freq_base_swa")?.or(architecture.window_base).unwrap_or(rope.base);
        // gemma2 scales both kinds of layers; the others scale only those with full attention.
        let window_rope = match architecture.name {
            "olmo2" => Rope { base: window_base, scale: 1.0, yarn: None, magnitude: 1.0, ..rope },
            "gemma2" => Rope { base: window_base, ..rope },
            _ => Rope { base: window_base, scale: 1.0, ..rope },
        };
        let scaled_by = if architecture.wide_scale_layers == layers as u64 { head } else { key_length };
        let [attention_cap, logit_cap] = architecture.soft_caps;
        Ok(Parameters {
            architecture,
            layers,
            width,
            heads,
            key_heads,
            key_length,
            value_length,
            hidden,
            experts,
            experts_used,
            epsilon: keys
                .float("attention.layer_norm_rms_epsilon")?
                .ok_or_else(|| keys.bad("attention.layer_norm_rms_epsilon", "it is missing"))?,
            rope,
            window_rope,
            window,
            windowed: keys.windowed(layers, window)?,
            attention_scale: 1.0 / (scaled_by as f32).sqrt(),
            soft_caps: [
                if attention_cap == 0.0 { 0.0 } else { keys.float("attn_logit_softcapping")?.unwrap_or(attention_cap) },
                if architecture.scaled_embedding {
                    keys.float("final_logit_softcapping")?.unwrap_or(logit_cap)
                } else {
                    0.0
                },
            ],
            context,
            original_context,
        })
    }

    /// The number of values whose norm is taken at once, of queries and of keys.
    pub fn head_norm_widths(&self) -> Option<[usize; 2]> {
        match self.architecture.head_norm {
            HeadNorm::None => None,
            HeadNorm::Head => Some([self.key_length; 2]),
            HeadNorm::Row => Some([self.heads * self.key_length, self.key_heads * self.key_length]),
        }
    }
}

/// Reads the metadata of one architecture.
struct Keys<'a> {
    header: &'a Header,
    prefix: &'static str,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<Value<'_>> {
        self.header.get(&format!("{}.{key}", self.prefix))
    }

    fn bad(&self, key: &str, message: &str) -> Error {
        let key = format!("{}.{key}", self.prefix);
        Error::new(Code::MALFORMED, format!("'{key}': {message}")).with("key", key.as_str())
    }

    /// A positive number of at most `limit`, which must be there.
    fn needed(&self, key: &str, limit: u64) -> Result<usize> {
        self.number(key, limit)?.ok_or_else(|| self.bad(key, "it is missing"))
    }

    /// A positive number of at most `limit`.
    fn number(&self, key: &str, limit: u64) -> Result<Option<usize>> {
        match self.number_or_0_if_any(key, limit)? {
            Some(0) => Err(self.bad(key, "it is 0")),
            number => Ok(number),
        }
    }

    /// A number of at most `limit`; 0 if it is missing.
    fn number_or_0(&self, key: &str, limit: u64) -> Result<usize> {
        Ok(self.number_or_0_if_any(key, limit)?.unwrap_or(0))
    }

    /// A number, or an array with the same number for each layer.
    fn number_or_0_if_any(&self, key: &str, limit: u64) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value.as_array() {
            None => value.as_u64(),
            Some(array) => {
                let first = array.iter().next().and_then(|value| value.as_u64());
                if array.iter().any(|value| value.as_u64() != first) {
                    let message = format!("'{}.{key}' differs between layers, which is not supported", self.prefix);
                    return Err(Error::new(Code::UNSUPPORTED, message).with("key", key));
                }
                first
            }
        };
        let number = number.ok_or_else(|| self.bad(key, "it must be a number"))?;
        if number > limit {
            return Err(self.bad(key, &format!("{number} is more than the limit of {limit}")));
        }
        usize::try_from(number).map(Some).map_err(|_| self.bad(key, &format!("{number} is too large")))
    }

    /// A finite number.
    fn float(&self, key: &str) -> Result<Option<f32>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::F32(x)) if x.is_finite() => Ok(Some(x)),
            Some(_) => Err(self.bad(key, "it must be a finite F32")),
        }
    }

    fn positive(&self, key: &str) -> Result<Option<f32>> {
        match self.float(key)? {
            Some(x) if x <= 0.0 => Err(self.bad(key, &format!("{x} is not positive"))),
            x => Ok(x),
        }
    }

    fn rope(&self, dimensions: usize, original_context: u64) -> Result<Rope> {
        let base = self.positive("rope.freq_base")?.unwrap_or(10_000.0);
        let factor = match self.float("rope.scaling.factor")? {
            None => self.float("rope.scale_linear")?.unwrap_or(0.0),
            Some(factor) => factor,
        };
        let kind = self.get("rope.scaling.type");
        let kind = kind.as_ref().map_or(Some("linear"), Value::as_str).unwrap_or_default();
        let scale = if factor == 0.0 || kind == "none" { 1.0 } else { 1.0 / factor };
        let mut magnitude = self.float("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let yarn = match kind {
            "none" | "linear" | "longrope" => None,
            "yarn" => {
                // llama.cpp divides by the factor that the rotation multiplies with for scales above 1.
                let factor = 1.0 / scale;
                let wanted = if factor <= 1.0 { 1.0 } else { 0.1 * libm::logf(factor) + 1.0 };
                magnitude *= wanted * (1.0 / (1.0 + 0.1 * libm::logf(factor)));
                Some(Yarn::new(dimensions, original_context, base))
            }
            other => {
                let message = format!("RoPE scaling '{other}' is not supported, only none, linear, yarn and longrope");
                return Err(Error::new(Code::UNSUPPORTED, message).with("type", other));
            }
        };
        Ok(Rope { dimensions, base, scale, yarn, magnitude })
    }

    /// Which layers have the window: by a list or a period in the metadata, or the architecture's period.
    fn windowed(&self, layers: usize, window: usize) -> Result<Vec<bool>> {
        const KEY: &str = "attention.sliding_window_pattern";
        let period = Architecture::by_name(self.prefix)?.window_period;
        if window == 0 || period == 0 {
            return Ok(vec![false; layers]);
        }
        if let Some(array) = self.get(KEY).and_then(|value| value.as_array()) {
            let flags = array.iter().map(|value| match value {
                Value::Bool(flag) => Some(flag),
                other => other.as_u64().map(|n| n != 0),
            });
            let flags: Option<Vec<bool>> = flags.take(layers).collect();
            return flags
                .filter(|flags| flags.len() == layers && array.element != ValueType::ARRAY)
                .ok_or_else(|| self.bad(KEY, &format!("it must have a truth value for each of the {layers} layers")));
        }
        let period = self.number_or_0_if_any(KEY, MAX_LAYERS)?.unwrap_or(period as usize);
        Ok((0..layers).map(|layer| period == 0 || layer % period < period - 1).collect())
    }
}
