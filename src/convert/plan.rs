//! One step from safetensors to any preset.

use super::folder::{Float, Folder};
use crate::container::gguf::TensorType;
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::recipe::{self, Plan, Recipe};

/// The presets that are a conversion and nothing more: what `convert_hf_to_gguf.py --outtype` makes.
const FLOATS: &[TensorType] = &[TensorType::F32, TensorType::F16, TensorType::BF16];

/// Plans the conversion of a model to GGUF. F32, F16 and BF16 write it in that precision; every other preset quantizes
/// what a conversion in each tensor's own precision would have written, so that nothing is rounded twice.
///
/// # Errors
/// Those of [`Folder::to_gguf`] and [`recipe::plan`]; [`Code::NO_DATA`] for a model without tensors.
pub fn plan(folder: &Folder, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
    if folder.tensors().is_empty() {
        return Err(Error::new(Code::NO_DATA, "the model has no tensors"));
    }
    match FLOATS.iter().find(|kind| kind.name.eq_ignore_ascii_case(&recipe.preset)) {
        Some(kind) if *recipe == (Recipe { preset: recipe.preset.clone(), ..Recipe::default() }) => {
            recipe::transcribe(&folder.to_gguf(Float::Of(*kind))?)
        }
        _ => recipe::plan(&folder.to_gguf(Float::Source)?, recipe, importance),
    }
}
