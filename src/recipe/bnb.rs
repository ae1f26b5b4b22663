//! The presets of bitsandbytes' formats in recipes, and the options they support.

use super::options::Recipe;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::nf4::DataType4Bit;

/// The presets whose output is a safetensors file for `transformers`.
pub const FOUR_BIT_PRESETS: &[TensorType] = &[TensorType::NF4, TensorType::FP4];

/// The format of a recipe, if it is one of bitsandbytes'.
pub fn four_bit_type(recipe: &Recipe) -> Option<TensorType> {
    FOUR_BIT_PRESETS.iter().find(|dtype| dtype.name.eq_ignore_ascii_case(&recipe.preset)).copied()
}

/// Rejects options that the recipe's preset does not support.
///
/// # Errors
/// [`Code::ARGUMENT`] with the option.
pub fn check_four_bit_options(recipe: &Recipe, importance: bool) -> Result<()> {
    let Recipe { double_quant, exclude_modules, preset, .. } = recipe;
    let Some(dtype) = four_bit_type(recipe) else {
        if double_quant.is_none() && exclude_modules.is_none() {
            return Ok(());
        }
        let message = format!("doubleQuant and excludeModules belong to NF4 and FP4, not to {preset}");
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
    let message = format!("{} does not take {option}: only doubleQuant and excludeModules", dtype.name);
    Err(Error::new(Code::ARGUMENT, message).with("option", option))
}

/// bitsandbytes' name of the dtype to dequantize to.
pub fn four_bit_dtype(dtype: TensorType) -> &'static str {
    match dtype {
        TensorType::F16 => "float16",
        TensorType::BF16 => "bfloat16",
        _ => "float32",
    }
}

/// The 4-bit data type of a planned tensor, if it is one of bitsandbytes'.
pub fn four_bit_data_type(dtype: TensorType) -> Option<DataType4Bit> {
    match dtype {
        TensorType::NF4 => Some(DataType4Bit::Nf4),
        TensorType::FP4 => Some(DataType4Bit::Fp4),
        _ => None,
    }
}
