//! The mix of formats with the least error within a size: rate-distortion optimisation over a model's tensors.
//!
//! ```text
//! knapsack   one option for each of many items
//! ```

mod knapsack;

use super::facts::Lookup;
use super::options::{Recipe, TensorTypeRule};
use super::planned::{Plan, PlannedTensor};
use super::preset::{Preset, presets};
use crate::container::gguf::{Header, TensorType};
use crate::error::{Code, Error, Result};
use crate::format::formats;
use knapsack::{Choice, cheapest_of, cost_of, loss_of, solve};
use std::collections::HashMap;

/// The error of a format on a tensor, by an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct FormatError {
    /// The format's name.
    pub format: String,
    /// `sqrt(sum e^2 / sum x^2)`.
    pub relative_rmse: f64,
    /// The same with importance; NaN without.
    pub weighted_error: f64,
}

/// The formats a tensor can have, by name of the tensor in plans or in its file.
pub type Analysis = HashMap<String, Vec<FormatError>>;

/// What the search needs to know of a model.
pub struct MixModel<'a> {
    /// Plans a recipe for the model.
    pub plan: &'a dyn Fn(&Recipe) -> Result<Plan>,
    /// The names of its tensors by where they begin, as its files have them.
    pub names: HashMap<u64, String>,
    /// To what multiple tensors of the output are padded.
    pub alignment: u64,
    /// How many experts a token meets; infinite if the model does not say.
    pub experts_in_use: f64,
    /// Whether an importance matrix is used.
    pub weighted: bool,
}

/// What the mix has to fit in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// Bytes of the whole file.
    Size(f64),
    /// Bits per weight: the tensors with their padding over all weights.
    BitsPerWeight(f64),
}

/// A tensor's number of weights, and its relative error; NaN if that is not known.
pub type Measured = (u64, f64);

/// The mix that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// The preset and the rules of the recipe.
    pub preset: &'static str,
    /// One rule for each tensor that was chosen for.
    pub rules: Vec<TensorTypeRule>,
    /// Bytes of the file.
    pub size: f64,
    /// What was minimised, and what no mix is below.
    pub objective: f64,
    /// See `objective`.
    pub bound: f64,
    /// The tensors that were chosen for, in the order of the output.
    pub tensors: Vec<MixedTensor>,
    /// All tensors of the file.
    pub measured: Vec<Measured>,
    /// The best preset that fits, if one does.
    pub nearest: Option<NearestPreset>,
}

/// A tensor that was chosen for.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedTensor {
    /// Its name.
    pub name: String,
    /// The type it gets.
    pub kind: TensorType,
    /// Its bytes.
    pub bytes: u64,
    /// Its relative error.
    pub error: f64,
}

/// The best of the presets that fit.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestPreset {
    /// Its name.
    pub name: &'static str,
    /// Bytes of the file.
    pub size: f64,
    /// See [`Mix::objective`].
    pub objective: f64,
    /// All tensors of the file.
    pub measured: Vec<Measured>,
}

/// A type that a tensor can have.
struct Candidate {
    kind: TensorType,
    bytes: u64,
    cost: f64,
    error: f64,
    /// Without importance, where `error` may be with it.
    relative_rmse: f64,
}

/// A tensor that can be chosen for.
struct Item<'a> {
    planned: &'a PlannedTensor,
    candidates: Vec<Candidate>,
}

/// Chooses the format of each tensor so that the file fits and the error is least: by the errors of an analysis, over the
/// formats that were tried in it. Tensors that `llama-quantize` keeps are kept. `options` are further options of the recipe.
///
/// # Errors
/// [`Code::RANGE`] with `smallest` if no mix is that small; [`Code::ARGUMENT`] for an analysis without a tensor of the model;
/// [`Code::UNSUPPORTED`] if the mix cannot be planned; those of planning.
pub fn best_mix(model: &MixModel<'_>, analysis: &Analysis, budget: Budget, options: &Recipe) -> Result<Mix> {
    Search { model, analysis, options }.run(budget)
}

/// How many experts a token meets, by the metadata of a model.
pub fn experts_in_use(header: &Header) -> f64 {
    let model = Lookup { header, overrides: &[] };
    let architecture = model.text("general.architecture").unwrap_or_default();
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
        let weights: u64 = one.tensors.iter().map(weights_of).sum();
        let mut fixed = one.size;
        for (index, planned) in one.tensors.iter().enumerate() {
            let results = self.results(planned);
            // What follows the preset is quantized; of rows that no block fits, and of what is kept, the type is the same.
            if other.tensors.get(index).is_some_and(|other| other.to == planned.to) {
                others.push(measured(planned, results));
                continue;
            }
            let small = small.tensors.get(index);
            let unimportant = small.is_some_and(|small| small.needs_importance && !small.has_importance);
            let mut candidates = self.candidates(planned, results, unimportant)?;
            if let Some(kept) = copied.tensors.get(index)
                && candidates.iter().all(|candidate| candidate.kind != kept.to)
            {
                let (kind, bytes, cost) = (kept.to, kept.place.bytes, kept.place.padded as f64);
                candidates.push(Candidate { kind, bytes, cost, error: 0.0, relative_rmse: 0.0 });
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
            let message = format!("no mix makes a file of {budget} bytes or less: the smallest has {smallest}");
            return Err(Error::new(Code::RANGE, message).with("smallest", smallest).with("target", budget));
        };
        let measured_of = |picks: &[usize]| -> Vec<Measured> {
            let chosen = items.iter().zip(picks).filter_map(|(item, pick)| {
                item.candidates.get(*pick).map(|candidate| (weights_of(item.planned), candidate.relative_rmse))
            });
            chosen.chain(others.iter().copied()).collect()
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
            NearestPreset { measured: measured_of(&picks), ..preset }
        });
        let tensor = |(planned, candidate): (&PlannedTensor, &Candidate)| {
            let Candidate { kind, bytes, error, .. } = *candidate;
            MixedTensor { name: planned.name.to_string(), kind, bytes, error }
        };
        Ok(Mix {
            preset,
            rules,
            size,
            objective: solution.loss,
            bound: solution.bound.min(solution.loss),
            measured: measured_of(&solution.picks),
            tensors: chosen.into_iter().map(tensor).collect(),
            nearest,
        })
    }

    /// A dry run; the size is that of one file, also if several are written.
    fn plan(&self, recipe: Recipe) -> Result<Plan> {
        (self.model.plan)(&Recipe { dry_run: true, keep_split: false, split_max_size: None, ..recipe })
    }

    /// A tensor's results: by its name in plans, or by its own name in the file, which a conversion changes.
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
                format!("the analysis has no figures for tensor '{}': analyze all of this model first", planned.name);
            return Err(Error::new(Code::ARGUMENT, message).with("tensor", &*planned.name));
        };
        let from = planned.from;
        let needy = |kind: TensorType| presets().any(|preset| preset.name == kind.name && preset.needs_importance());
        let of = |result: &FormatError| {
            let FormatError { format, relative_rmse, weighted_error } = result;
            let weighted = self.model.weighted && !weighted_error.is_nan();
            let error = if weighted { *weighted_error } else { *relative_rmse };
            let kind = TensorType::ALL.iter().copied().find(|kind| kind.name == format)?;
            if !error.is_finite() || unimportant && needy(kind) {
                return None;
            }
            if from.is_quantized() && kind != from && !self.options.allow_requantize {
                return None;
            }
            let bytes = kind.size_of(weights_of(planned))?;
            let cost = bytes.next_multiple_of(self.model.alignment.max(1)) as f64;
            Some(Candidate { kind, bytes, cost, error, relative_rmse: *relative_rmse })
        };
        Ok(results.iter().filter_map(of).collect())
    }

    /// Costs and losses: a tensor's squared error counts by the number of its weights and its influence.
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

    /// The presets that fit and whose types are all in the analysis, as selections.
    fn presets(
        &self,
        items: &[Item<'_>],
        choices: &[Vec<Choice>],
        budget: f64,
    ) -> Result<Vec<(NearestPreset, Vec<usize>)>> {
        let mut known = Vec::new();
        for Preset { name, .. } in presets().filter(|preset| !preset.is_alias()) {
            // A preset that this model cannot have is none of them.
            let Ok(plan) = self.plan(Recipe { preset: (*name).to_owned(), ..self.options.clone() }) else { continue };
            if lacks_importance(&plan) || plan.size as f64 > budget {
                continue;
            }
            let types: HashMap<&str, TensorType> =
                plan.tensors.iter().map(|tensor| (&*tensor.name, tensor.to)).collect();
            let pick = |item: &Item<'_>| {
                let kind = types.get(&*item.planned.name)?;
                item.candidates.iter().position(|candidate| candidate.kind == *kind)
            };
            let Some(picks) = items.iter().map(pick).collect::<Option<Vec<usize>>>() else { continue };
            let objective = loss_of(choices, &picks);
            known.push((NearestPreset { name, size: plan.size as f64, objective, measured: Vec::new() }, picks));
        }
        Ok(known)
    }

    /// Plans the mix: the planner decides what a recipe makes.
    fn verify(
        &self,
        preset: &str,
        rules: &[TensorTypeRule],
        chosen: &[(&PlannedTensor, &Candidate)],
        size: f64,
    ) -> Result<()> {
        let tensor_types = [&self.options.tensor_types, rules].concat();
        let plan = self.plan(Recipe { preset: preset.to_owned(), tensor_types, ..self.options.clone() })?;
        let types: HashMap<&str, TensorType> = plan.tensors.iter().map(|tensor| (&*tensor.name, tensor.to)).collect();
        let wrong = chosen.iter().find(|(planned, candidate)| types.get(&*planned.name) != Some(&candidate.kind));
        let planned_size = plan.size as f64;
        let (what, wanted) = match wrong {
            Some((planned, candidate)) => {
                let found = types.get(&*planned.name).map_or("missing", |kind| kind.name);
                (format!("tensor '{}' would be {found}", planned.name), candidate.kind.name.to_owned())
            }
            None if !lacks_importance(&plan) && planned_size == size => return Ok(()),
            None => (format!("{planned_size} bytes"), format!("{size} bytes")),
        };
        let message = format!("the mix cannot be planned: {what}, where {wanted} was chosen");
        Err(Error::new(Code::UNSUPPORTED, message).with("size", size).with("planned", planned_size))
    }
}

fn weights_of(tensor: &PlannedTensor) -> u64 {
    tensor.rows.saturating_mul(tensor.row_length)
}

fn lacks_importance(plan: &Plan) -> bool {
    plan.tensors.iter().any(|tensor| tensor.needs_importance && !tensor.has_importance && tensor.from != tensor.to)
}

/// A tensor that nothing is chosen for, with the error of the type it gets in any case.
fn measured(planned: &PlannedTensor, results: Option<&[FormatError]>) -> Measured {
    let found = results.and_then(|results| results.iter().find(|result| result.format == planned.to.name));
    let copied = planned.from == planned.to || planned.to == TensorType::F32;
    let error = if copied { 0.0 } else { found.map_or(f64::NAN, |found| found.relative_rmse) };
    (weights_of(planned), error)
}

/// The factor of a tensor's squared error. Without an output of their own, models use the table of tokens.
///
/// Measured on tests/fixtures/tiny-whale (benches/results/mix.md): each kind alone in Q3_K, the divergence of the predictions
/// over the squared error and the number of weights. The output's errors go straight to the predictions; those of other kinds
/// are within a factor of two of each other.
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
    factor * weights_of(tensor) as f64 * share
}

/// The preset gives its number to the file: that of the type of most bytes. Presets of floats have no rules.
fn preset_of(chosen: &[(&PlannedTensor, &Candidate)]) -> &'static str {
    let sum = |kind: &str| -> u64 {
        chosen.iter().filter(|(_, candidate)| candidate.kind.name == kind).map(|(_, candidate)| candidate.bytes).sum()
    };
    let used = |kind: &str| chosen.iter().any(|(_, candidate)| candidate.kind.name == kind);
    let quantized = formats().iter().filter(|codec| codec.weights > 1 && used(codec.name));
    let most = quantized.reduce(|best, codec| if sum(codec.name) > sum(best.name) { codec } else { best });
    most.map_or("Q8_0", |codec| codec.name)
}

/// A pattern in small letters, as patterns are, that only this name has: capital letters may be any.
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
    TensorTypeRule { pattern, kind: candidate.kind.name.to_owned(), why: Some("best mix".to_owned()) }
}
