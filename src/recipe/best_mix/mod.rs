//! The mix of formats with the smallest error within a size: rate-distortion optimization over a model's tensors.
//!
//! ```text
//! knapsack   selects one option for each of many items
//! ```

mod knapsack;

use super::hparams::Lookup;
use super::options::{Recipe, TensorTypeRule};
use super::plan::{Plan, PlannedTensor};
use super::preset::{Preset, presets};
use crate::analysis::WeightError;
use crate::container::gguf::{Header, TensorType};
use crate::error::{Code, Error, Result};
use crate::format::formats;
use knapsack::{Choice, cheapest_of, cost_of, loss_of, solve};
use std::collections::HashMap;

/// The error of a format on a tensor, from an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct FormatError {
    /// The format's name.
    pub format: String,
    /// `sqrt(sum e^2 / sum x^2)`.
    pub relative_rmse: f64,
    /// The same weighted by importance; NaN without importance.
    pub weighted_error: f64,
}

/// The errors of the formats of each tensor, by the tensor's name in plans or in its file.
pub type Analysis = HashMap<String, Vec<FormatError>>;

/// What the search needs to know about a model.
pub struct MixModel<'a> {
    /// Plans a recipe for the model.
    pub plan: &'a dyn Fn(&Recipe) -> Result<Plan>,
    /// The names of its tensors in its files, by offset.
    pub names: HashMap<u64, String>,
    /// The alignment of tensors in the output.
    pub alignment: u64,
    /// The number of experts per token; infinite if the model does not state it.
    pub experts_in_use: f64,
    /// Whether an importance matrix is used.
    pub weighted: bool,
}

/// The limit for the mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Size of the whole file in bytes.
    Size(f64),
    /// Bits per weight: the size of all tensors including padding, divided by the number of weights.
    BitsPerWeight(f64),
}

/// The resulting mix.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mix {
    /// The preset of the recipe.
    pub preset: &'static str,
    /// One rule per selected tensor.
    pub rules: Vec<TensorTypeRule>,
    /// Size of the file in bytes.
    pub size: f64,
    /// The minimised objective.
    pub objective: f64,
    /// A lower bound of the objective for any mix.
    pub bound: f64,
    /// The tensors whose format was selected, in output order.
    pub tensors: Vec<MixedTensor>,
    /// The weight error of the file; `None` if the analysis lacks a tensor that the recipe changes.
    pub weight_error: Option<f64>,
    /// The best preset that fits, if there is one.
    pub nearest: Option<NearestPreset>,
}

/// A tensor whose format was selected.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MixedTensor {
    /// The name.
    pub name: String,
    /// The selected dtype.
    pub dtype: TensorType,
    /// Size in bytes.
    pub bytes: u64,
    /// Relative error.
    pub error: f64,
}

/// The best preset that fits.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NearestPreset {
    /// The name.
    pub name: &'static str,
    /// Size of the file in bytes.
    pub size: f64,
    /// See [`Mix::objective`].
    pub objective: f64,
    /// See [`Mix::weight_error`].
    pub weight_error: Option<f64>,
}

/// A dtype that a tensor can have.
struct Candidate {
    dtype: TensorType,
    bytes: u64,
    cost: f64,
    error: f64,
    /// Without importance, while `error` may be weighted by it.
    relative_rmse: f64,
}

/// A tensor whose format can be selected.
struct Item<'a> {
    planned: &'a PlannedTensor,
    candidates: Vec<Candidate>,
}

/// Selects the format of each tensor so that the file fits the budget and the error is smallest, using the errors of an
/// analysis and the formats measured in it. Tensors that `llama-quantize` keeps are kept. `options` are further options
/// of the recipe.
///
/// # Errors
/// [`Code::RANGE`] with `smallest` if no mix is that small; [`Code::ARGUMENT`] if a tensor of the model is not in the
/// analysis; [`Code::UNSUPPORTED`] if the mix cannot be planned; and as for planning.
pub fn best_mix(model: &MixModel<'_>, analysis: &Analysis, budget: Budget, options: &Recipe) -> Result<Mix> {
    Search { model, analysis, options }.run(budget)
}

/// The number of experts per token, according to the metadata of a model.
pub fn experts_in_use(header: &Header) -> f64 {
    let model = Lookup { header, overrides: &[] };
    let architecture = model.architecture();
    let used = model.number(&format!("{architecture}.expert_used_count")).filter(|used| *used > 0);
    used.map_or(f64::INFINITY, |used| used as f64)
}

struct Search<'a> {
    model: &'a MixModel<'a>,
    analysis: &'a Analysis,
    options: &'a Recipe,
}

impl Search<'_> {
    fn run(&self, budget: Budget) -> Result<Mix> {
        let uniform =
            |preset: &str| self.plan(Recipe { preset: preset.to_owned(), pure: true, ..self.options.clone() });
        let (one, other, small) = (uniform("Q8_0")?, uniform("Q4_0")?, uniform("IQ3_XXS")?);
        let copied = self.plan(Recipe { preset: "COPY".to_owned(), ..self.options.clone() })?;
        let mut items = Vec::new();
        let mut others: Vec<Measured> = Vec::new();
        let padded: u64 = one.tensors.iter().map(|tensor| tensor.place.padded).sum();
        let weights: u64 = one.tensors.iter().map(PlannedTensor::weights).sum();
        let mut fixed = one.size;
        for (index, planned) in one.tensors.iter().enumerate() {
            let results = self.results(planned);
            // Tensors that follow the preset are quantized; those that are kept, or whose rows fit no block, have the
            // same dtype.
            if other.tensors.get(index).is_some_and(|other| other.to == planned.to) {
                others.push(measured(planned, results));
                continue;
            }
            let small = small.tensors.get(index);
            let unimportant = small.is_some_and(|small| small.needs_importance && !small.has_importance);
            let mut candidates = self.candidates(planned, results, unimportant)?;
            if let Some(kept) = copied.tensors.get(index)
                && candidates.iter().all(|candidate| candidate.dtype != kept.to)
            {
                let (dtype, bytes, cost) = (kept.to, kept.place.bytes, kept.place.padded as f64);
                candidates.push(Candidate { dtype, bytes, cost, error: 0.0, relative_rmse: 0.0 });
            }
            fixed -= planned.place.padded;
            items.push(Item { planned, candidates });
        }
        let budget = match budget {
            Budget::Size(size) => size,
            Budget::BitsPerWeight(bits) => (one.size - padded) as f64 + (bits * weights as f64 / 8.0).floor(),
        };
        let choices = self.choices(&items, one.tensors.iter().all(|tensor| tensor.name != "output.weight"));
        let mut known = self.presets(&items, &choices, budget)?;
        let starts: Vec<Vec<usize>> = known.iter().map(|(_, picks)| picks.clone()).collect();
        let Some(solution) = solve(&choices, budget - fixed as f64, &starts) else {
            let cheapest: Vec<usize> = choices.iter().map(|options| cheapest_of(options)).collect();
            let smallest = fixed as f64 + cost_of(&choices, &cheapest);
            let message = format!("no mix fits in {budget} bytes: the smallest file has {smallest}");
            return Err(Error::new(Code::RANGE, message).with("smallest", smallest).with("target", budget));
        };
        let of_picks = |picks: &[usize]| {
            let chosen = items.iter().zip(picks).filter_map(|(item, pick)| {
                item.candidates.get(*pick).map(|candidate| (item.planned.weights(), candidate.relative_rmse))
            });
            weight_error_of(chosen.chain(others.iter().copied()))
        };
        let chosen: Vec<(&PlannedTensor, &Candidate)> = items
            .iter()
            .zip(&solution.picks)
            .filter_map(|(item, pick)| Some((item.planned, item.candidates.get(*pick)?)))
            .collect();
        let size = fixed as f64 + solution.cost;
        let rules: Vec<TensorTypeRule> = chosen.iter().map(|(planned, candidate)| rule(planned, candidate)).collect();
        let preset = preset_of(&chosen);
        self.verify(preset, &rules, &chosen, size)?;
        let nearest = (0..known.len()).reduce(|best, index| {
            let key = |(preset, _): &(NearestPreset, Vec<usize>)| (preset.objective, preset.size);
            if key(&known[index]) < key(&known[best]) { index } else { best }
        });
        let nearest = nearest.map(|index| {
            let (preset, picks) = known.swap_remove(index);
            NearestPreset { weight_error: of_picks(&picks), ..preset }
        });
        let tensor = |(planned, candidate): (&PlannedTensor, &Candidate)| {
            let Candidate { dtype, bytes, error, .. } = *candidate;
            MixedTensor { name: planned.name.to_string(), dtype, bytes, error }
        };
        Ok(Mix {
            preset,
            rules,
            size,
            objective: solution.loss,
            bound: solution.bound.min(solution.loss),
            weight_error: of_picks(&solution.picks),
            tensors: chosen.into_iter().map(tensor).collect(),
            nearest,
        })
    }

    /// A dry run. The size is that of a single file, even if the output is split.
    fn plan(&self, recipe: Recipe) -> Result<Plan> {
        (self.model.plan)(&Recipe { dry_run: true, keep_split: false, split_max_size: None, ..recipe })
    }

    /// The results of a tensor: by its name in plans, or by its name in the file, which a conversion changes.
    fn results(&self, planned: &PlannedTensor) -> Option<&[FormatError]> {
        let own = || self.analysis.get(self.model.names.get(&planned.source_offset)?);
        self.analysis.get(&*planned.source_name).or_else(own).map(Vec::as_slice)
    }

    fn candidates(
        &self,
        planned: &PlannedTensor,
        results: Option<&[FormatError]>,
        unimportant: bool,
    ) -> Result<Vec<Candidate>> {
        let Some(results) = results else {
            let message =
                format!("the analysis has no figures for tensor '{}': analyze the whole model first", planned.name);
            return Err(Error::new(Code::ARGUMENT, message).with("tensor", &*planned.name));
        };
        let from = planned.from;
        let needy = |dtype: TensorType| presets().any(|preset| preset.name == dtype.name && preset.needs_importance());
        let of = |result: &FormatError| {
            let FormatError { format, relative_rmse, weighted_error } = result;
            let weighted = self.model.weighted && !weighted_error.is_nan();
            let error = if weighted { *weighted_error } else { *relative_rmse };
            let dtype = TensorType::ALL.iter().copied().find(|dtype| dtype.name == format)?;
            if !error.is_finite() || unimportant && needy(dtype) {
                return None;
            }
            if from.is_quantized() && dtype != from && !self.options.allow_requantize {
                return None;
            }
            let bytes = dtype.size_of(planned.weights())?;
            let cost = bytes.next_multiple_of(self.model.alignment.max(1)) as f64;
            Some(Candidate { dtype, bytes, cost, error, relative_rmse: *relative_rmse })
        };
        Ok(results.iter().filter_map(of).collect())
    }

    /// Costs and losses. A tensor's squared error is weighted by its number of weights and its influence.
    fn choices(&self, items: &[Item<'_>], tied: bool) -> Vec<Vec<Choice>> {
        let influences: Vec<f64> =
            items.iter().map(|item| influence_of(item.planned, tied, self.model.experts_in_use)).collect();
        let total: f64 = influences.iter().sum();
        let of = |(item, influence): (&Item<'_>, f64)| {
            let share = influence / total;
            let choice = |candidate: &Candidate| Choice {
                cost: candidate.cost,
                loss: candidate.error * candidate.error * share,
            };
            item.candidates.iter().map(choice).collect()
        };
        items.iter().zip(influences).map(of).collect()
    }

    /// The presets that fit and whose dtypes are all in the analysis, as selections.
    fn presets(
        &self,
        items: &[Item<'_>],
        choices: &[Vec<Choice>],
        budget: f64,
    ) -> Result<Vec<(NearestPreset, Vec<usize>)>> {
        let mut known = Vec::new();
        for Preset { name, .. } in presets().filter(|preset| !preset.is_alias()) {
            // Skip presets that do not apply to this model.
            let Ok(plan) = self.plan(Recipe { preset: (*name).to_owned(), ..self.options.clone() }) else { continue };
            if lacks_importance(&plan) || plan.size as f64 > budget {
                continue;
            }
            let type_of = types_of(&plan);
            let pick = |item: &Item<'_>| {
                let dtype = type_of(&item.planned.name)?;
                item.candidates.iter().position(|candidate| candidate.dtype == dtype)
            };
            let Some(picks) = items.iter().map(pick).collect::<Option<Vec<usize>>>() else { continue };
            let objective = loss_of(choices, &picks);
            known.push((NearestPreset { name, size: plan.size as f64, objective, weight_error: None }, picks));
        }
        Ok(known)
    }

    /// Plans the mix, to verify that the planner makes the selected file.
    fn verify(
        &self,
        preset: &str,
        rules: &[TensorTypeRule],
        chosen: &[(&PlannedTensor, &Candidate)],
        size: f64,
    ) -> Result<()> {
        let tensor_types = [&self.options.tensor_types, rules].concat();
        let plan = self.plan(Recipe { preset: preset.to_owned(), tensor_types, ..self.options.clone() })?;
        let type_of = types_of(&plan);
        let wrong = chosen.iter().find(|(planned, candidate)| type_of(&planned.name) != Some(candidate.dtype));
        let planned_size = plan.size as f64;
        let (what, wanted) = match wrong {
            Some((planned, candidate)) => {
                let found = type_of(&planned.name).map_or("missing", |dtype| dtype.name);
                (format!("tensor '{}' would be {found}", planned.name), candidate.dtype.name.to_owned())
            }
            None if !lacks_importance(&plan) && planned_size == size => return Ok(()),
            None => (format!("{planned_size} bytes"), format!("{size} bytes")),
        };
        let message = format!("the mix cannot be planned: {what}, where {wanted} was chosen");
        Err(Error::new(Code::UNSUPPORTED, message).with("size", size).with("planned", planned_size))
    }
}

/// Looks up the planned dtype of a tensor by name.
fn types_of(plan: &Plan) -> impl Fn(&str) -> Option<TensorType> {
    let places: HashMap<&str, usize> =
        plan.tensors.iter().enumerate().map(|(index, tensor)| (&*tensor.name, index)).collect();
    move |name| places.get(name).map(|index| plan.tensors[*index].to)
}

fn lacks_importance(plan: &Plan) -> bool {
    plan.tensors.iter().any(|tensor| tensor.needs_importance && !tensor.has_importance && tensor.from != tensor.to)
}

/// A tensor's number of weights and its relative error; NaN if unknown.
type Measured = (u64, f64);

/// The weight error of a file, if that of every tensor is known.
fn weight_error_of(tensors: impl Iterator<Item = Measured>) -> Option<f64> {
    let mut sum = WeightError::default();
    for (weights, error) in tensors {
        if error.is_nan() {
            return None;
        }
        sum.add(weights as f64, Some(error));
    }
    sum.value()
}

/// A tensor without a choice, with the error of its dtype.
fn measured(planned: &PlannedTensor, results: Option<&[FormatError]>) -> Measured {
    let found = results.and_then(|results| results.iter().find(|result| result.format == planned.to.name));
    let copied = planned.from == planned.to || planned.to == TensorType::F32;
    let error = if copied { 0.0 } else { found.map_or(f64::NAN, |found| found.relative_rmse) };
    (planned.weights(), error)
}

/// The factor of a tensor's squared error. In models without a separate output the token embedding is the output.
///
/// Measured on tests/fixtures/tiny-whale (benches/results/mix.md): each kind alone in Q3_K, as the divergence of the
/// predictions divided by the squared error and the number of weights. The output's errors directly affect the
/// predictions; those of other kinds are within a factor of two of each other.
fn influence_of(tensor: &PlannedTensor, tied: bool, experts_in_use: f64) -> f64 {
    let name = &*tensor.name;
    let output = name == "output.weight" || tied && name == "token_embd.weight";
    let value = ["attn_v.weight", "attn_kv_b.weight"].iter().any(|end| name.ends_with(end));
    let factor = if output {
        8.0
    } else if value {
        2.0
    } else {
        1.0
    };
    let experts = tensor.shape.get(2).copied().unwrap_or(1) as f64;
    let share = if experts > 1.0 { (experts_in_use / experts).min(1.0) } else { 1.0 };
    factor * tensor.weights() as f64 * share
}

/// The preset determines the file type, which is that of the dtype with the most bytes. Float presets have no rules.
fn preset_of(chosen: &[(&PlannedTensor, &Candidate)]) -> &'static str {
    let sum = |dtype: &str| -> u64 {
        chosen.iter().filter(|(_, candidate)| candidate.dtype.name == dtype).map(|(_, candidate)| candidate.bytes).sum()
    };
    let used = |dtype: &str| chosen.iter().any(|(_, candidate)| candidate.dtype.name == dtype);
    let quantized = formats().iter().filter(|codec| codec.weights > 1 && used(codec.name));
    let most = quantized.reduce(|best, codec| if sum(codec.name) > sum(best.name) { codec } else { best });
    most.map_or("Q8_0", |codec| codec.name)
}

/// A pattern in lower case, as patterns are, that only matches this name; capital letters match any character.
fn rule(planned: &PlannedTensor, candidate: &Candidate) -> TensorTypeRule {
    let mut pattern = String::from("^");
    for c in planned.name.chars() {
        match c {
            '\\' | '^' | '$' | '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' => {
                pattern.push('\\');
                pattern.push(c);
            }
            'A'..='Z' => pattern.push('.'),
            c => pattern.push(c),
        }
    }
    pattern.push('$');
    TensorTypeRule { pattern, dtype: candidate.dtype.name.to_owned(), why: Some("best mix".to_owned()) }
}
