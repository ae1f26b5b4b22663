//! The presets of bitsandbytes' formats in recipes, and the options they support.

use super::options::Recipe;
use super::plan::BnbLayout;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::json::{self, quoted};
use crate::nf4::DataType4Bit;

/// The presets whose output is a safetensors file for `transformers`.
pub const BNB_PRESETS: &[TensorType] = &[TensorType::NF4, TensorType::FP4];

/// The format of a recipe, if it is one of bitsandbytes'.
pub fn bnb_type(recipe: &Recipe) -> Option<TensorType> {
    BNB_PRESETS.iter().find(|dtype| dtype.name.eq_ignore_ascii_case(&recipe.preset)).copied()
}

/// Rejects options that the recipe's preset does not support.
///
/// # Errors
/// [`Code::ARGUMENT`] with the option.
pub fn check_bnb_options(recipe: &Recipe, importance: bool) -> Result<()> {
    let Recipe { double_quant, exclude_modules, preset, .. } = recipe;
    let Some(dtype) = bnb_type(recipe) else {
        if double_quant.is_none() && exclude_modules.is_none() {
            return Ok(());
        }
        let message = format!("doubleQuant and excludeModules apply only to NF4 and FP4, not to {preset}");
        return Err(Error::new(Code::ARGUMENT, message).with("preset", preset.as_str()));
    };
    let others = [
        ("pure", recipe.pure),
        ("leaveOutputTensor", recipe.leave_output_tensor),
        ("outputTensorType", recipe.output_tensor_type.is_some()),
        ("tokenEmbeddingType", recipe.token_embedding_type.is_some()),
        ("tensorTypes", !recipe.tensor_types.is_empty()),
        ("allowRequantize", recipe.allow_requantize),
        ("includeWeights", !recipe.include_weights.is_empty()),
        ("excludeWeights", !recipe.exclude_weights.is_empty()),
        ("overrideKv", !recipe.override_kv.is_empty()),
        ("pruneLayers", !recipe.prune_layers.is_empty()),
        ("keepSplit", recipe.keep_split),
        ("splitMaxSize", recipe.split_max_size.is_some()),
        ("preTokenizer", recipe.pre_tokenizer.is_some()),
        ("plain", recipe.plain),
        ("imatrix", importance),
        ("imatrixFile", recipe.imatrix_file.is_some()),
    ];
    let Some((option, _)) = others.into_iter().find(|(_, set)| *set) else { return Ok(()) };
    let message =
        format!("{} does not support {option}; its only options are doubleQuant and excludeModules", dtype.name);
    Err(Error::new(Code::ARGUMENT, message).with("option", option))
}

/// What a recipe requests of bitsandbytes' formats.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BnbRequest {
    /// The format.
    pub dtype: TensorType,
    /// Whether the scales are quantized too.
    pub double_quant: bool,
    /// Modules to keep, in addition to those that `transformers` keeps.
    pub excluded: Vec<String>,
}

impl BnbRequest {
    /// The request of a recipe; `None` if its preset is not one of bitsandbytes' formats.
    ///
    /// # Errors
    /// As for [`check_bnb_options`].
    pub fn of(recipe: &Recipe, importance: bool) -> Result<Option<BnbRequest>> {
        check_bnb_options(recipe, importance)?;
        Ok(bnb_type(recipe).map(|dtype| BnbRequest {
            dtype,
            double_quant: recipe.double_quant == Some(true),
            excluded: recipe.exclude_modules.clone().unwrap_or_default(),
        }))
    }
}

/// bitsandbytes' name of the dtype to dequantize to.
pub fn bnb_compute_dtype(dtype: TensorType) -> &'static str {
    match dtype {
        TensorType::F16 => "float16",
        TensorType::BF16 => "bfloat16",
        _ => "float32",
    }
}

/// The 4-bit data type of a planned tensor, if it is one of bitsandbytes'.
pub fn bnb_data_type(dtype: TensorType) -> Option<DataType4Bit> {
    match dtype {
        TensorType::NF4 => Some(DataType4Bit::Nf4),
        TensorType::FP4 => Some(DataType4Bit::Fp4),
        _ => None,
    }
}

impl BnbLayout {
    /// The `config.json` for the output: the model's own, followed by what tells `transformers` how the weights are
    /// quantized.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] if `config` is not a JSON object.
    pub fn config(&self, config: &[u8]) -> Result<String> {
        let parsed = json::parse(config, "config.json")?;
        let text = std::str::from_utf8(config).ok().filter(|_| parsed.as_object().is_some());
        let Some(body) = text.and_then(|text| text.trim_end().strip_suffix('}')) else {
            return Err(Error::new(Code::MALFORMED, "config.json is not a JSON object"));
        };
        let dtype = ["dtype", "torch_dtype"].into_iter().find_map(|name| parsed.get(name)?.as_str());
        let modules: Vec<String> = self.skipped.iter().map(|name| format!("\n      {}", quoted(name))).collect();
        let end = if modules.is_empty() { "" } else { "\n    " };
        let members = [
            ("load_in_4bit", "true".to_owned()),
            ("load_in_8bit", "false".to_owned()),
            ("_load_in_4bit", "true".to_owned()),
            ("_load_in_8bit", "false".to_owned()),
            ("bnb_4bit_compute_dtype", quoted(dtype.unwrap_or("float32"))),
            ("bnb_4bit_quant_storage", quoted("uint8")),
            ("bnb_4bit_quant_type", quoted(self.layout.data_type.name())),
            ("bnb_4bit_use_double_quant", self.layout.double_quant.to_string()),
            ("llm_int8_skip_modules", format!("[{}{end}]", modules.join(","))),
            ("quant_method", quoted("bitsandbytes")),
        ];
        let members: Vec<String> = members.iter().map(|(name, value)| format!("    \"{name}\": {value}")).collect();
        // Added to the text, which keeps numbers such as 10000.0 as Python wrote them.
        let body = body.trim_end();
        let comma = if body.ends_with('{') { "" } else { "," };
        Ok(format!("{body}{comma}\n  \"quantization_config\": {{\n{}\n  }}\n}}\n", members.join(",\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nf4::TailLayout;

    #[test]
    fn the_configuration_follows_the_text_of_the_model() {
        let layout = TailLayout { data_type: DataType4Bit::Nf4, double_quant: true };
        let plan = BnbLayout { layout, skipped: vec!["lm_head".to_owned(), "a\"b".to_owned()] };
        let text = plan.config(b"{\n  \"torch_dtype\": \"bfloat16\",\n  \"rope_theta\": 10000.0\n}\n").unwrap();
        let head = "{\n  \"torch_dtype\": \"bfloat16\",\n  \"rope_theta\": 10000.0,\n  \"quantization_config\": {\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.contains("    \"llm_int8_skip_modules\": [\n      \"lm_head\",\n      \"a\\\"b\"\n    ],\n"));
        let parsed = json::parse(text.as_bytes(), "it").unwrap();
        let of = |name: &str| parsed.get("quantization_config").unwrap().get(name).unwrap().clone();
        assert_eq!(of("bnb_4bit_compute_dtype").as_str(), Some("bfloat16"));
        assert_eq!(of("bnb_4bit_quant_type").as_str(), Some("nf4"));
        assert_eq!(of("bnb_4bit_use_double_quant").as_bool(), Some(true));
        let bare = BnbLayout { layout, skipped: Vec::new() }.config(b"{}").unwrap();
        assert!(json::parse(bare.as_bytes(), "it").is_ok(), "{bare}");
        assert_eq!(plan.config(b"[1]").unwrap_err().code(), Code::MALFORMED);
    }
}
