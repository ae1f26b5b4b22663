//! The properties of a model that the rules depend on, read from its metadata.

use super::options::{KvOverride, OverrideValue};
use crate::container::gguf::{Header, Value};

/// The properties of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HParams {
    /// `general.architecture`.
    pub architecture: String,
    /// The number of layers as counted by llama.cpp.
    pub layers: u64,
    /// Query heads per key/value head in the first layer; 0 without key/value heads.
    pub gqa: u64,
    /// Experts per layer; 0 for a dense model.
    pub experts: u64,
    /// Whether llama.cpp classifies it as a 70B model, in which value tensors have an eighth of the size of query
    /// tensors.
    pub seventy_b: bool,
}

/// Architectures that llama.cpp classifies as 70B by their number of layers.
const SEVENTY_B: &[(&str, u64)] = &[("qwen2", 80), ("deci", 80), ("olmo", 80), ("jais2", 68)];

/// Architectures in which one expert means a dense model.
const ONE_EXPERT_IS_NONE: &[&str] = &["hunyuan-dense", "hunyuan_vl"];

impl HParams {
    /// Reads the properties. As in llama.cpp's loader, overrides take precedence.
    ///
    /// If a file does not state its number of layers, for which llama.cpp fails, it is the number in the names of its
    /// tensors, `named_layers`.
    pub fn of(header: &Header, overrides: &[KvOverride], named_layers: u64) -> HParams {
        let model = Lookup { header, overrides };
        let architecture = model.architecture();
        let of_arch = |key: &str| format!("{architecture}.{key}");
        let stated = model.number(&of_arch("block_count"));
        let blocks = stated.unwrap_or(named_layers);
        let next_token = model.number(&of_arch("nextn_predict_layers")).unwrap_or(0);
        let mut experts = model.number(&of_arch("expert_count")).unwrap_or(0);
        if experts == 1 && ONE_EXPERT_IS_NONE.contains(&architecture.as_str()) {
            experts = 0;
        }
        let heads = model.first(&of_arch("attention.head_count")).unwrap_or(0);
        let kv_heads = model.first(&of_arch("attention.head_count_kv")).unwrap_or(heads);
        let regular = blocks.saturating_sub(next_token);
        let llama = matches!(architecture.as_str(), "llama" | "llama-embed");
        let seventy_b = SEVENTY_B.contains(&(architecture.as_str(), regular))
            || llama && regular == 80 && experts != 8 && heads != kv_heads;
        let layers = match architecture.as_str() {
            // The router is an additional layer.
            "graniteswitch" => regular + 1,
            // The layers are run several times.
            "nanbeige" => regular * model.number(&of_arch("num_loops")).unwrap_or(1).max(1),
            _ => blocks,
        };
        HParams { gqa: heads.checked_div(kv_heads).unwrap_or(0), architecture, layers, experts, seventy_b }
    }
}

/// Metadata, with the recipe's overrides taking precedence.
pub(super) struct Lookup<'a> {
    pub header: &'a Header,
    pub overrides: &'a [KvOverride],
}

impl Lookup<'_> {
    /// An override of the right type replaces a value, or provides a missing one.
    fn overridden(&self, key: &str) -> Option<&OverrideValue> {
        self.overrides.iter().find(|candidate| candidate.key == key).map(|found| &found.value)
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> String {
        self.text("general.architecture").unwrap_or_default()
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.overridden(key) {
            Some(OverrideValue::String(text)) => Some(text.clone()),
            _ => self.header.get(key)?.as_str().map(str::to_owned),
        }
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        match self.overridden(key) {
            // llama.cpp reads these as u32.
            Some(OverrideValue::Int(value)) => Some(u64::from(*value as u32)),
            _ => self.header.get(key)?.as_u64(),
        }
    }

    /// A number, or the first of an array with one per layer, which overrides do not replace.
    fn first(&self, key: &str) -> Option<u64> {
        match self.header.get(key)? {
            Value::Array(array) => array.iter().next()?.as_u64(),
            _ => self.number(key),
        }
    }
}
