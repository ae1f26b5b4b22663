//! JavaScript bindings of `convert/`: a model that another module imports, planned.

use super::best_mix::Request;
use super::model::{ModelPlanner, SharedMatrix, named, shared_matrix};
use super::read::read;
use crate::container::gguf::DEFAULT_ALIGNMENT;
use crate::container::imatrix::ImportanceMatrix;
use crate::convert::{ImportAssembler, ImportSpec, Imported};
use crate::error::{Code, Error};
use crate::recipe::{Planner, Recipe, presets};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

/// The imports of a safetensors model that plans need. [`ImportedModel::wanted`] lists those to be made by the module with
/// the converters, and [`ImportedModel::add`] receives the results.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct ImportedModel {
    complete: Vec<(ImportSpec, Imported)>,
    /// The import whose pieces are being added.
    partial: Option<(ImportSpec, ImportAssembler)>,
}

#[wasm_bindgen]
impl ImportedModel {
    /// Creates a model without imports.
    #[wasm_bindgen(constructor)]
    pub fn new() -> ImportedModel {
        ImportedModel::default()
    }

    /// The serialized imports that the plan of a recipe needs and that are missing; if `mix`, those of a best mix, which
    /// plans several presets. Imports that are not needed are dropped.
    pub fn wanted(&mut self, recipe: JsValue, importance: bool, mix: bool) -> Result<Vec<Uint8Array>, Error> {
        let recipe: Recipe = read("recipe", recipe)?;
        let mut wanted = Vec::new();
        let names: Vec<&str> = if mix { presets().map(|preset| preset.name).collect() } else { vec![&recipe.preset] };
        for preset in names {
            let recipe = Recipe { preset: preset.to_owned(), ..recipe.clone() };
            let import = ImportSpec::from_recipe(&recipe, importance)?;
            if !wanted.contains(&import) {
                wanted.push(import);
            }
        }
        self.partial = None;
        self.complete.retain(|(known, _)| wanted.contains(known));
        let missing = wanted.iter().filter(|import| self.find(import).is_none());
        Ok(missing.map(|import| Uint8Array::from(import.to_bytes().as_slice())).collect())
    }

    /// Adds the next piece of the result of an import, both serialized.
    pub fn add(&mut self, import: &[u8], piece: &[u8]) -> Result<(), Error> {
        let import = ImportSpec::from_bytes(import)?;
        let read = match self.partial.take_if(|(known, _)| *known == import) {
            Some((_, partial)) => partial.with_piece(piece)?,
            None => ImportAssembler::new(&import, piece)?,
        };
        match read {
            ImportAssembler::Complete(imported) => self.complete.push((import, imported)),
            partial => self.partial = Some((import, partial)),
        }
        Ok(())
    }

    /// Begins a plan, see [`Imported::planner`]; `imatrix_name` is the name of the importance matrix if the recipe does
    /// not state one.
    pub fn planner(
        &self,
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
        #[wasm_bindgen(js_name = imatrixName)] imatrix_name: Option<String>,
    ) -> Result<ModelPlanner, Error> {
        let recipe: Recipe = read("recipe", recipe)?;
        let imatrix = shared_matrix(imatrix)?;
        let planner = self.planner_of(&named(&recipe, imatrix_name), imatrix.as_deref())?;
        Ok(ModelPlanner { planner, recipe })
    }

    /// As for [`ModelHeader::best_mix`](super::model::ModelHeader::best_mix). `names` and `offsets` are those of the
    /// tensors in the files.
    #[wasm_bindgen(js_name = bestMix)]
    #[allow(clippy::too_many_arguments)] // one call across the boundary
    pub fn best_mix(
        &self,
        texts: Vec<String>,
        numbers: &[f64],
        #[wasm_bindgen(js_name = targetSize)] target_size: Option<f64>,
        #[wasm_bindgen(js_name = targetBpw)] target_bpw: f64,
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
        names: Vec<String>,
        offsets: &[f64],
    ) -> Result<JsValue, Error> {
        let target = (target_size, target_bpw);
        let request = Request::read((texts, numbers), target, recipe, imatrix)?;
        let names = names.into_iter().zip(offsets).map(|(name, offset)| (*offset as u64, name)).collect();
        let plan = |recipe: &Recipe| self.planner_of(recipe, request.imatrix.as_deref())?.run();
        request.run(&plan, names, DEFAULT_ALIGNMENT, f64::INFINITY)
    }
}

impl ImportedModel {
    fn find(&self, import: &ImportSpec) -> Option<&Imported> {
        self.complete.iter().find(|(known, _)| known == import).map(|(_, imported)| imported)
    }

    fn planner_of(&self, recipe: &Recipe, imatrix: Option<&ImportanceMatrix>) -> Result<Planner<'static>, Error> {
        let import = ImportSpec::from_recipe(recipe, imatrix.is_some())?;
        let missing = || Error::new(Code::ARGUMENT, format!("the model was not imported for {}", recipe.preset));
        self.find(&import).ok_or_else(missing)?.planner(recipe, imatrix)
    }
}
