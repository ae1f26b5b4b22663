//! The planner: from a header, a recipe and importance to the output's tensors, positions and final header.

use super::bnb::{bnb_type, check_bnb_options};
use super::category::{Categories, Category};
use super::dtype_selection::{DtypeSelector, NameFacts};
use super::hparams::{HParams, Lookup};
use super::metadata;
use super::options::{Options, Recipe};
use super::plan::{Plan, PlannedTensor};
use super::preset::{Preset, PresetSet, ftype, guessed_ftype};
use super::reader_limits::{Limits, PLAIN};
use super::split::{Split, SplitWriter};
use super::tensor_names::{Pruner, compare, sorted_layer};
use crate::container::gguf::{Header, Tensor, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::interning::{Interner, Name};
use crate::sort::MergeSort;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Arc;

/// Plans the conversion of a model, given its `header`.
///
/// The plan, including the reasons for rejecting a model, is that of `llama_model_quantize`.
///
/// # Errors
/// - [`Code::UNKNOWN_NAME`], [`Code::ARGUMENT`], [`Code::RANGE`]: the recipe is invalid or contradicts itself.
/// - [`Code::NEEDS_IMPORTANCE`]: a tensor's dtype requires importance, and there is none for it.
/// - [`Code::ARGUMENT`]: a tensor is already quantized and the recipe does not allow requantizing.
/// - [`Code::LENGTH`]: the length of a tensor's importance is not its row length times experts, or a dtype set by the
///   recipe does not fit a tensor's rows.
/// - [`Code::TOO_LARGE`]: a tensor's name or dimensions exceed the limits of its architecture's readers.
/// - [`Code::UNSUPPORTED`]: a dtype cannot be read or written, or none fits; or the header is only one of several
///   shards.
pub fn plan(header: &Header, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
    Planner::new(header, recipe, importance)?.run()
}

/// A header that is borrowed, or shared with other owners.
#[derive(Clone, Debug)]
pub enum HeaderRef<'a> {
    /// Borrowed from its owner.
    Borrowed(&'a Header),
    /// Shared.
    Shared(Arc<Header>),
}

impl Deref for HeaderRef<'_> {
    type Target = Header;

    fn deref(&self) -> &Header {
        match self {
            HeaderRef::Borrowed(header) => header,
            HeaderRef::Shared(header) => header,
        }
    }
}

impl<'a> From<&'a Header> for HeaderRef<'a> {
    fn from(header: &'a Header) -> Self {
        HeaderRef::Borrowed(header)
    }
}

impl From<Arc<Header>> for HeaderRef<'_> {
    fn from(header: Arc<Header>) -> Self {
        HeaderRef::Shared(header)
    }
}

/// Makes a [`plan`] in steps of bounded work, between which a thread can do other things.
#[derive(Debug)]
pub struct Planner<'a>(State<'a>);

#[derive(Debug)]
enum State<'a> {
    /// The tensors are being decided on.
    Deciding(Box<Decisions<'a>>),
    /// The tensors are decided, and the headers are being written.
    Writing(Box<SplitWriter>, Option<ImportanceMatrix>),
    Planned(Box<Plan>),
    /// The plan has been returned, or there was an error.
    Finished,
}

/// The tensors that are decided so far, and what comes next.
#[derive(Debug)]
struct Decisions<'a> {
    header: HeaderRef<'a>,
    importance: Option<ImportanceMatrix>,
    selector: DtypeSelector,
    limits: Limits,
    categories: Categories,
    pruner: Pruner,
    stage: Stage,
    /// The layer by which each tensor of the header is sorted.
    layers: Vec<i64>,
    /// The order of the header's tensors; from [`Stage::FileOrder`] on, of the written ones.
    order: Vec<usize>,
    /// The tensors that are written.
    written: Vec<Written>,
    /// The number of tensors of `order` that the stage is done with.
    done: usize,
    /// The names in `written`, if layers are pruned, because two tensors may get the same one; the first such name.
    names: HashSet<Name>,
    duplicate: Option<Name>,
    /// The number of tensors of each dtype, the highest such number, and its dtype: for the file type of a copy.
    dtypes: Vec<(u32, u32)>,
    most_frequent: (u32, TensorType),
    shapes: Interner<[u64]>,
    tensors: Vec<PlannedTensor>,
}

/// A tensor that is written.
#[derive(Debug)]
struct Written {
    /// Its index in the header.
    index: usize,
    name: Name,
    layer: i64,
    category: Category,
}

/// What is done with all tensors, one after the other.
#[derive(Debug)]
enum Stage {
    /// Their layers are read from their names.
    Layers,
    /// They are put in the order of the output.
    Order(MergeSort),
    /// They are renamed, and counted by category.
    Names,
    /// They are put in the order of the files that are kept.
    FileOrder(MergeSort),
    /// Their types are chosen.
    Types,
}

/// A tensor is moved by a sort in a fraction of the time that another stage takes for it, and compared with a pattern in
/// such a fraction.
const MOVES: usize = 16;
const PATTERNS: usize = 4;

impl<'a> Planner<'a> {
    /// Begins a plan.
    ///
    /// # Errors
    /// As for [`plan`]; those of single tensors follow in [`step`](Self::step).
    pub fn new(
        header: impl Into<HeaderRef<'a>>,
        recipe: &Recipe,
        importance: Option<&ImportanceMatrix>,
    ) -> Result<Planner<'a>> {
        let header = header.into();
        check_bnb_options(recipe, importance.is_some())?;
        if let Some(dtype) = bnb_type(recipe) {
            let message = format!("{} requires a safetensors model, but this is a GGUF model", dtype.name);
            return Err(Error::new(Code::UNSUPPORTED, message).with("preset", dtype.name));
        }
        let preset = Preset::by_name(&recipe.preset)?;
        let options = Options::resolve(recipe)?;
        refuse_shard(&header)?;
        let importance = importance.and_then(|matrix| selected(matrix, recipe));
        // The number of layers may follow from the names, which are read first.
        let hparams = HParams::of(&header, &options.overrides, 0);
        if recipe.plain && hparams.architecture != PLAIN {
            let message = "plain applies only to safetensors models; a GGUF model keeps its architecture";
            return Err(Error::new(Code::ARGUMENT, message).with("option", "plain"));
        }
        let count = header.tensors().len();
        Ok(Planner(State::Deciding(Box::new(Decisions {
            limits: Limits::of(&hparams.architecture),
            selector: DtypeSelector::new(preset, options, hparams, importance.is_some()),
            header,
            importance,
            categories: Categories::new(),
            pruner: Pruner::new(&recipe.prune_layers),
            stage: Stage::Layers,
            layers: Vec::with_capacity(count),
            order: Vec::new(),
            written: Vec::new(),
            done: 0,
            names: HashSet::new(),
            duplicate: None,
            dtypes: Vec::new(),
            most_frequent: (0, TensorType::F32),
            shapes: Interner::default(),
            tensors: Vec::new(),
        }))))
    }

    /// A planner of tensors that are already decided.
    pub(super) fn writing(writer: SplitWriter) -> Self {
        Planner(State::Writing(Box::new(writer), None))
    }

    /// A planner with a plan that is already made.
    pub(crate) fn planned(plan: Plan) -> Self {
        Planner(State::Planned(Box::new(plan)))
    }

    /// Does as much work as deciding on `most` tensors takes. Returns the plan once it is made; then, and after an error,
    /// the planner is used up.
    ///
    /// # Errors
    /// As for [`plan`]; [`Code::ARGUMENT`] if the planner is used up.
    pub fn step(&mut self, most: usize) -> Result<Option<Plan>> {
        let mut left = most.max(1);
        loop {
            self.0 = match std::mem::replace(&mut self.0, State::Finished) {
                State::Finished => return Err(Error::new(Code::ARGUMENT, "this plan has been made, or has failed")),
                State::Planned(plan) => return Ok(Some(*plan)),
                State::Deciding(mut decisions) => match decisions.step(&mut left)? {
                    None => State::Deciding(decisions),
                    Some(writer) => State::Writing(Box::new(writer), decisions.importance.take()),
                },
                State::Writing(mut writer, importance) => match writer.step(left)? {
                    (_, Some(plan)) => State::Planned(Box::new(Plan { importance, ..plan })),
                    (records, None) => {
                        left = left.saturating_sub(records);
                        State::Writing(writer, importance)
                    }
                },
            };
            if left == 0 {
                return Ok(None);
            }
        }
    }

    /// Makes the plan in one go.
    ///
    /// # Errors
    /// As for [`plan`].
    pub fn run(mut self) -> Result<Plan> {
        loop {
            if let Some(plan) = self.step(usize::MAX)? {
                return Ok(plan);
            }
        }
    }
}

impl Decisions<'_> {
    /// Does work for up to `left` tensors, and subtracts it; returns what writes the headers once all are decided.
    fn step(&mut self, left: &mut usize) -> Result<Option<SplitWriter>> {
        match &mut self.stage {
            Stage::Layers => self.read_layers(left),
            Stage::Order(sort) => {
                let tensors = self.header.tensors();
                let key = |index: usize| (self.layers[index], tensors[index].name.as_str());
                if stepped(sort, left, &|a, b| compare(key(a), key(b))) {
                    self.order = std::mem::replace(sort, MergeSort::new(0)).into_order();
                    self.stage = Stage::Names;
                }
            }
            Stage::Names => self.name(left)?,
            Stage::FileOrder(sort) => {
                // By the offset in the concatenated files, so in the order of the files too.
                let offset = |at: usize| self.header.tensors()[self.written[at].index].offset;
                if stepped(sort, left, &|a, b| offset(a).cmp(&offset(b))) {
                    self.order = std::mem::replace(sort, MergeSort::new(0)).into_order();
                    self.stage = Stage::Types;
                }
            }
            Stage::Types => return self.choose_types(left),
        }
        Ok(None)
    }

    fn read_layers(&mut self, left: &mut usize) {
        let tensors = self.header.tensors();
        let next = tensors.iter().skip(self.layers.len()).take(*left);
        let before = self.layers.len();
        self.layers.extend(next.map(|tensor| sorted_layer(&tensor.name)));
        *left -= self.layers.len() - before;
        if self.layers.len() < tensors.len() {
            return;
        }
        let named = self.layers.iter().max().map_or(0, |layer| layer.saturating_add(1));
        let overrides = &self.selector.options.overrides;
        self.selector.hparams = HParams::of(&self.header, overrides, named.try_into().unwrap_or(0));
        // Tensors of image models stay in file order, as in the llama.cpp version that ComfyUI-GGUF patches.
        if self.selector.is_diffusion() {
            self.order = (0..tensors.len()).collect();
            self.stage = Stage::Names;
        } else {
            self.stage = Stage::Order(MergeSort::new(tensors.len()));
        }
    }
    /// Renames tensors and counts them by category.
    fn name(&mut self, left: &mut usize) -> Result<()> {
        while *left > 0
            && let Some(index) = self.order.get(self.done).copied()
        {
            (*left, self.done) = (*left - 1, self.done + 1);
            let (source, mut layer) = (&self.header.tensors()[index].name, self.layers[index]);
            let Some(name) = self.pruner.rename(source)? else { continue };
            if self.pruner.is_active() {
                layer = sorted_layer(&name);
                if !self.names.insert(name.clone()) && self.duplicate.is_none() {
                    self.duplicate = Some(name.clone());
                }
            }
            let category = self.categories.of(&name);
            self.selector.count(category);
            self.written.push(Written { index, name, layer, category });
        }
        if self.done < self.order.len() {
            return Ok(());
        }
        if let Some(name) = self.duplicate.take() {
            let message = format!("pruning layers would give two tensors the name '{name}'");
            return Err(Error::new(Code::ARGUMENT, message).with("tensor", name.as_str()));
        }
        (self.layers, self.names, self.done) = (Vec::new(), HashSet::new(), 0);
        self.tensors.reserve_exact(self.written.len());
        self.stage = if self.selector.options.recipe.keep_split {
            Stage::FileOrder(MergeSort::new(self.written.len()))
        } else {
            self.order = (0..self.written.len()).collect();
            Stage::Types
        };
        Ok(())
    }

    /// Chooses types; returns what writes the headers once all are chosen.
    fn choose_types(&mut self, left: &mut usize) -> Result<Option<SplitWriter>> {
        let cost = 1 + self.selector.options.compared_patterns() / PATTERNS;
        while *left > 0
            && let Some(at) = self.order.get(self.done).copied()
        {
            (*left, self.done) = (left.saturating_sub(cost), self.done + 1);
            let planned =
                self.planned(at).map_err(|error| error.within(&format!("tensor '{}'", self.written[at].name)))?;
            self.tensors.push(planned);
            self.count_dtype(self.header.tensors()[self.written[at].index].dtype);
        }
        if self.done < self.order.len() {
            return Ok(None);
        }
        (self.order, self.written) = (Vec::new(), Vec::new());
        let DtypeSelector { preset, options, hparams, .. } = &self.selector;
        let ftype = if preset.is_copy() { self.stated_ftype() } else { preset.ftype };
        let (importance, architecture) = (self.importance.as_ref(), &hparams.architecture);
        let pairs = metadata::pairs(&self.header, options, ftype, importance, &self.pruner, architecture)?;
        let tensors = std::mem::take(&mut self.tensors);
        let split = Split::of(&options.recipe, &self.header, &tensors)?;
        Ok(Some(SplitWriter::new(split, pairs, tensors)))
    }

    fn planned(&mut self, at: usize) -> Result<PlannedTensor> {
        let Written { index, name, layer, category } = &self.written[at];
        let tensor = &self.header.tensors()[*index];
        let facts = NameFacts { name, category: *category, layer: *layer };
        let selected = self.selector.choose(tensor, facts)?;
        let DtypeSelector { preset, options, .. } = &self.selector;
        let needs_importance = selected.dtype != tensor.dtype && needs_importance(name, selected.dtype, preset.ftype);
        let mut planned = PlannedTensor {
            needs_importance,
            has_importance: has_importance(tensor, selected.dtype, self.importance.as_ref())?,
            ..PlannedTensor::of(tensor, selected.dtype, selected.why)
        };
        if !self.selector.is_diffusion() {
            // As ggml does; other programs may write trailing dimensions of one.
            let dimensions = tensor.dimensions();
            if dimensions < tensor.shape.len() {
                planned.shape = self.shapes.intern(tensor.shape.get(..dimensions).unwrap_or(&tensor.shape));
            }
        }
        self.limits.check(name, planned.shape.len())?;
        if tensor.stored_dtype == tensor.dtype || selected.dtype != tensor.dtype {
            check_conversion(&planned, tensor.stored_dtype != tensor.dtype, &options.recipe)?;
        }
        planned.name = name.clone();
        Ok(planned)
    }

    fn count_dtype(&mut self, dtype: TensorType) {
        let known = self.dtypes.iter().position(|(id, _)| *id == dtype.id);
        let index = known.unwrap_or_else(|| {
            self.dtypes.push((dtype.id, 0));
            self.dtypes.len() - 1
        });
        let count = &mut self.dtypes[index].1;
        *count += 1;
        if *count > self.most_frequent.0 {
            self.most_frequent = (*count, dtype);
        }
    }

    /// The `general.file_type` of a copy: as stated in the file, or guessed from its most frequent dtype.
    fn stated_ftype(&self) -> u32 {
        let model = Lookup { header: &self.header, overrides: &self.selector.options.overrides };
        let stated = model.number("general.file_type").and_then(|number| u32::try_from(number).ok());
        stated.unwrap_or_else(|| guessed_ftype(self.most_frequent.1))
    }
}

/// Sorts for up to `left` tensors' work, and subtracts it; returns whether all are sorted.
fn stepped(sort: &mut MergeSort, left: &mut usize, compare: &dyn Fn(usize, usize) -> Ordering) -> bool {
    let mut moves = left.saturating_mul(MOVES);
    let sorted = sort.step(&mut moves, compare);
    *left = moves / MOVES;
    sorted
}

/// Rejects a single shard: it holds only some of the tensors, and rules depend on their number.
fn refuse_shard(header: &Header) -> Result<()> {
    let count = header.split_count();
    if count <= 1 || !header.shards().is_empty() {
        return Ok(());
    }
    let number = header.split_number().saturating_add(1);
    let message = format!("this file is shard {number} of {count}; open all of them together");
    Err(Error::new(Code::UNSUPPORTED, message).with("shard", number).with("shards", count))
}

/// The importance selected by a recipe, if any is left.
fn selected(matrix: &ImportanceMatrix, recipe: &Recipe) -> Option<ImportanceMatrix> {
    let mut matrix = matrix.clone();
    let named = |parts: &[String], name: &str| parts.iter().any(|part| name.contains(part.as_str()));
    if !recipe.exclude_weights.is_empty() {
        matrix.retain(|name| !named(&recipe.exclude_weights, name));
    }
    if !recipe.include_weights.is_empty() {
        matrix.retain(|name| named(&recipe.include_weights, name));
    }
    let any = matrix.entries().next().is_some();
    any.then_some(matrix)
}

/// Whether a dtype requires importance. Token embeddings and the output are exempt, and Q2_K requires it only in the
/// preset Q2_K_S.
fn needs_importance(name: &str, dtype: TensorType, number: u32) -> bool {
    const EXEMPT: &[&str] = &["token_embd.weight", "per_layer_token_embd.weight", "output.weight"];
    const ALWAYS: &[TensorType] = &[
        TensorType::IQ3_XXS,
        TensorType::IQ2_XXS,
        TensorType::IQ2_XS,
        TensorType::IQ2_S,
        TensorType::IQ1_M,
        TensorType::IQ1_S,
    ];
    let small_q2 = dtype == TensorType::Q2_K && PresetSet::of(&[ftype::Q2_K_S]).has(number);
    !EXEMPT.contains(&name) && (ALWAYS.contains(&dtype) || small_q2)
}

/// Whether there is importance for a tensor that will be encoded.
fn has_importance(tensor: &Tensor, dtype: TensorType, importance: Option<&ImportanceMatrix>) -> Result<bool> {
    let importance = importance.filter(|_| dtype != tensor.dtype);
    Ok(importance.map(|matrix| matrix.of_tensor(&tensor.name, &tensor.shape)).transpose()?.flatten().is_some())
}

/// `imported` means that the model was imported from another container, so its stored dtypes are not what llama-quantize
/// would see.
fn check_conversion(tensor: &PlannedTensor, imported: bool, recipe: &Recipe) -> Result<()> {
    let PlannedTensor { from, to, needs_importance, has_importance, .. } = tensor;
    if from == to || recipe.dry_run {
        return Ok(());
    }
    if *needs_importance && !has_importance {
        let message = format!("{} requires an importance matrix; its output would be unusable without one", to.name);
        return Err(Error::new(Code::NEEDS_IMPORTANCE, message).with("format", to.name));
    }
    if from.is_quantized() && !recipe.allow_requantize {
        let message =
            format!("it is already {}, and requantizing loses quality; allow requantizing to do it anyway", from.name);
        return Err(Error::new(Code::ARGUMENT, message).with("format", from.name));
    }
    const FLOATS: &[TensorType] =
        &[TensorType::F32, TensorType::F16, TensorType::BF16, TensorType::F8_E4M3, TensorType::F8_E5M2];
    let float = FLOATS.contains(from) || imported && *from == TensorType::F64;
    if !from.is_quantized() && !float || Codec::by_id(from.id).is_none() && !from.is_foreign() {
        let message = format!("{} cannot be converted to other types", from.name);
        return Err(Error::new(Code::UNSUPPORTED, message).with("format", from.name));
    }
    match Codec::by_id(to.id).filter(|codec| codec.can_encode()) {
        Some(_) => Ok(()),
        None => Err(Error::new(Code::UNSUPPORTED, format!("{} cannot be written", to.name)).with("format", to.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::gguf::{Parsed, Record, Value, encode_pair, parse, write_header};

    fn header_of(count: usize) -> Header {
        // Neither in the order of layers nor in that of names.
        let names: Vec<String> = (0..count).map(|i| format!("blk.{}.ffn_up.weight", i * 7919 % count)).collect();
        let records: Vec<_> =
            names.iter().map(|name| Record { name, shape: &[256, 2], dtype: TensorType::F16 }).collect();
        let pairs = [encode_pair("general.architecture", &Value::String(b"llama"))];
        let written = write_header(&pairs, &records, 32).unwrap();
        match parse(&written.header, written.size).unwrap() {
            Parsed::Header(header) => *header,
            Parsed::NeedsMore(_) => panic!("the header is complete"),
        }
    }

    /// The numbers of tensors that each stage is done with.
    fn progress(planner: &Planner<'_>) -> [usize; 4] {
        match &planner.0 {
            State::Deciding(d) => [d.layers.len(), d.order.len(), d.done, d.tensors.len()],
            State::Writing(writer, _) => [0, 0, 0, writer.written()],
            State::Planned(_) | State::Finished => [0; 4],
        }
    }

    #[test]
    fn a_step_decides_on_a_bounded_number_of_tensors() {
        let header = header_of(1000);
        let recipe = Recipe { preset: "Q4_K_M".to_owned(), ..Recipe::default() };
        for most in [1, 7, 300] {
            let mut planner = Planner::new(&header, &recipe, None).unwrap();
            let (mut before, mut steps) = (progress(&planner), 1);
            while planner.step(most).unwrap().is_none() {
                let now = progress(&planner);
                // The order is known at once when the last element is in place.
                for stage in [0, 2, 3] {
                    assert!(now[stage].saturating_sub(before[stage]) <= most, "{before:?} {now:?} with {most}");
                }
                (before, steps) = (now, steps + 1);
            }
            // Layers, names, types and records; sixteen elements are moved for one of them.
            let work = 4 * 1000 + 10 * 1000 / MOVES;
            assert!(steps >= work / most, "{steps} steps with {most}");
        }
    }

    #[test]
    fn a_planner_is_used_up_by_its_plan_and_by_an_error() {
        let header = header_of(10);
        let recipe = |preset: &str| Recipe { preset: preset.to_owned(), ..Recipe::default() };
        let mut planner = Planner::new(&header, &recipe("Q8_0"), None).unwrap();
        assert_eq!(planner.step(usize::MAX).unwrap().map(|plan| plan.tensors.len()), Some(10));
        assert_eq!(planner.step(1).unwrap_err().code(), Code::ARGUMENT);
        let mut failing = Planner::new(&header, &recipe("IQ1_S"), None).unwrap();
        assert_eq!(failing.step(usize::MAX).unwrap_err().code(), Code::NEEDS_IMPORTANCE);
        assert_eq!(failing.step(1).unwrap_err().code(), Code::ARGUMENT);
    }
}
