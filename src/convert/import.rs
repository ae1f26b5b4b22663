//! Planning the conversion of a safetensors model with any preset.

use super::bnb;
use super::folder::{Float, Folder};
use crate::container::gguf::{Header, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::recipe::{self, Plan, Recipe};

/// The presets that only convert: the results of `convert_hf_to_gguf.py --outtype`.
const FLOATS: &[TensorType] = &[TensorType::F32, TensorType::F16, TensorType::BF16];

/// How a recipe imports a model as GGUF. It is the same for most recipes, and importing a language model takes as long
/// as reading its vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportSpec {
    float: Float,
    /// Whether the result is written as it is, without quantizing it.
    pass_through: bool,
    pre_tokenizer: Option<String>,
    /// Whether to write a plain container for any model.
    plain: bool,
}

impl ImportSpec {
    /// F32, F16 and BF16 convert a model to that dtype. Every other preset quantizes the result of a conversion that
    /// keeps each tensor's own precision, so nothing is rounded twice.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for options of bitsandbytes' formats.
    pub fn from_recipe(recipe: &Recipe) -> Result<ImportSpec> {
        recipe::check_bnb_options(recipe, false)?;
        let (pre_tokenizer, plain) = (recipe.pre_tokenizer.clone(), recipe.plain);
        Ok(match FLOATS.iter().find(|dtype| dtype.name.eq_ignore_ascii_case(&recipe.preset)) {
            Some(dtype) if asks_no_more(recipe) => {
                ImportSpec { float: Float::Of(*dtype), pass_through: true, pre_tokenizer, plain }
            }
            _ => ImportSpec { float: Float::Source, pass_through: false, pre_tokenizer, plain },
        })
    }

    /// Converts the model's header to GGUF.
    ///
    /// # Errors
    /// As for [`Folder::to_gguf`] or [`Folder::to_plain`]; [`Code::NO_DATA`] for a model without tensors.
    pub fn header(&self, folder: &Folder) -> Result<Header> {
        if folder.tensors().is_empty() {
            return Err(Error::new(Code::NO_DATA, "the model has no tensors"));
        }
        if self.plain {
            return folder.to_plain(self.float);
        }
        folder.to_gguf(self.float, self.pre_tokenizer.as_deref())
    }

    /// Plans the recipe for an imported header.
    ///
    /// # Errors
    /// As for [`recipe::plan`].
    pub fn plan(&self, header: &Header, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
        if self.pass_through {
            recipe::plan_pass_through(header, recipe)
        } else {
            recipe::plan(header, recipe, importance)
        }
    }
}

/// Plans the conversion of a model to GGUF or to bitsandbytes' formats, combining [`ImportSpec::header`] and
/// [`ImportSpec::plan`].
///
/// # Errors
/// As for [`ImportSpec::header`] and [`ImportSpec::plan`], and as for planning bitsandbytes' formats.
pub fn plan(folder: &Folder, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
    if let Some(dtype) = recipe::bnb_type(recipe) {
        return bnb::plan(folder, dtype, recipe, importance.is_some());
    }
    let import = ImportSpec::from_recipe(recipe)?;
    import.plan(&import.header(folder)?, recipe, importance)
}

/// Whether the recipe consists only of a preset, splitting, a pre-tokenizer and the plain option.
fn asks_no_more(recipe: &Recipe) -> bool {
    let Recipe { preset, dry_run, split_max_size, pre_tokenizer, plain, .. } = recipe.clone();
    *recipe == Recipe { preset, dry_run, split_max_size, pre_tokenizer, plain, ..Recipe::default() }
}
