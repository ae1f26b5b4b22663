//! JavaScript bindings of `recipe/best_mix/`.

use super::build::Object;
use super::model::{ModelHeader, SharedMatrix, shared_matrix};
use super::read::read;
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error};
use crate::recipe::{self, Analysis, Budget, FormatError, Mix, MixModel, Plan, Recipe, best_mix, experts_in_use};
use js_sys::Array;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The parsed arguments of a search.
pub(super) struct Request {
    analysis: Analysis,
    budget: Budget,
    recipe: Recipe,
    pub(super) imatrix: Option<Rc<ImportanceMatrix>>,
}

impl Request {
    /// `texts` and `numbers` are the tensors of the analysis: name and number of formats, and for each format its name,
    /// its error, and its error with importance or NaN.
    pub(super) fn read(
        (texts, numbers): (Vec<String>, &[f64]),
        target: (Option<f64>, f64),
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
    ) -> Result<Self, Error> {
        let (mut texts, mut numbers) = (texts.into_iter(), numbers.iter().copied());
        let missing = || Error::new(Code::LENGTH, "an analysis has a name and numbers for each of its formats");
        let mut analysis = Analysis::new();
        while let Some(name) = texts.next() {
            let count = numbers.next().ok_or_else(missing)?;
            let mut formats = Vec::new();
            for _ in 0..count as u64 {
                let format = texts.next().ok_or_else(missing)?;
                let (relative_rmse, weighted_error) =
                    (numbers.next().ok_or_else(missing)?, numbers.next().ok_or_else(missing)?);
                formats.push(FormatError { format, relative_rmse, weighted_error });
            }
            analysis.insert(name, formats);
        }
        let budget = target.0.map_or(Budget::BitsPerWeight(target.1), Budget::Size);
        let recipe: Recipe = read("recipe", recipe)?;
        Ok(Request { analysis, budget, recipe, imatrix: shared_matrix(imatrix)? })
    }

    pub(super) fn run(
        &self,
        plan: &dyn Fn(&Recipe) -> Result<Plan, Error>,
        names: HashMap<u64, String>,
        alignment: u32,
        experts_in_use: f64,
    ) -> Result<JsValue, Error> {
        let weighted = self.imatrix.is_some();
        let model = MixModel { plan, names, alignment: alignment.into(), experts_in_use, weighted };
        Ok(mix_to_js(&best_mix(&model, &self.analysis, self.budget, &self.recipe)?))
    }
}

#[wasm_bindgen]
impl ModelHeader {
    /// See [`best_mix`]; returns `{ preset, rules, size, objective, bound, tensors, weightError, nearest }`.
    #[wasm_bindgen(js_name = bestMix)]
    pub fn best_mix(
        &self,
        texts: Vec<String>,
        numbers: &[f64],
        #[wasm_bindgen(js_name = targetSize)] target_size: Option<f64>,
        #[wasm_bindgen(js_name = targetBpw)] target_bpw: f64,
        recipe: JsValue,
        imatrix: Option<SharedMatrix>,
    ) -> Result<JsValue, Error> {
        let target = (target_size, target_bpw);
        let request = Request::read((texts, numbers), target, recipe, imatrix)?;
        let names = self.header.tensors().iter().map(|tensor| (tensor.offset, tensor.name.to_string())).collect();
        let plan = |recipe: &Recipe| recipe::plan(&self.header, recipe, request.imatrix.as_deref());
        request.run(&plan, names, self.header.alignment(), experts_in_use(&self.header))
    }
}

fn mix_to_js(mix: &Mix) -> JsValue {
    let rules: Array = mix
        .rules
        .iter()
        .map(|rule| {
            let object = Object::new().value("pattern", &rule.pattern).value("type", &rule.dtype);
            object.value("why", rule.why.as_deref().unwrap_or_default()).done()
        })
        .collect();
    let tensors: Array = mix
        .tensors
        .iter()
        .map(|tensor| {
            let object = Object::new().value("name", &tensor.name).value("type", tensor.dtype.name);
            object.number("bytes", tensor.bytes).value("error", tensor.error).done()
        })
        .collect();
    let nearest = mix.nearest.as_ref().map_or(JsValue::UNDEFINED, |nearest| {
        let object = Object::new().value("name", nearest.name).value("size", nearest.size);
        object.value("objective", nearest.objective).value("weightError", nearest.weight_error).done()
    });
    let object = Object::new().value("preset", mix.preset).value("rules", rules).value("size", mix.size);
    let object = object.value("objective", mix.objective).value("bound", mix.bound).value("tensors", tensors);
    object.value("weightError", mix.weight_error).value("nearest", nearest).done()
}
