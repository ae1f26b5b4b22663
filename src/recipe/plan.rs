//! Header, recipe and importance to a plan: what becomes of every tensor, where it goes, and the final header.

use super::choose::Chooser;
use super::facts::{Facts, Lookup};
use super::four_bit::{check_four_bit_options, four_bit_type};
use super::image::is_image;
use super::limits::{Limits, PLAIN};
use super::metadata;
use super::names::{Pruner, compare};
use super::options::{Options, Recipe};
use super::preset::{Preset, PresetSet, ftype, guessed_ftype};
use super::split::{Shard, Split};
use crate::container::gguf::{Header, Place, Tensor, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::nf4::TailLayout;
use crate::order::sorted;
use std::collections::{BTreeMap, HashSet};

/// Everything that is decided before the first weight is read.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The final header, padded to where tensor data begins. It is written first: nothing in it changes later.
    pub header: Vec<u8>,
    /// The files after the first, where the output is split; offsets of tensors count through all of them end to end.
    pub further: Vec<Shard>,
    /// What becomes of every tensor, in the order they stand in the output.
    pub tensors: Vec<PlannedTensor>,
    /// The size of the whole output.
    pub size: u64,
    /// Of a file of bitsandbytes' formats, what its readers need beyond types and places.
    pub four_bit: Option<FourBit>,
    /// The importance that is used, after including and excluding weights.
    pub(super) importance: Option<ImportanceMatrix>,
}

/// What the plan of a file of bitsandbytes' formats says beyond types and places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FourBit {
    /// What stands after the codes of every quantized tensor.
    pub layout: TailLayout,
    /// The modules that stay as they are, as `config.json` lists them.
    pub skipped: Vec<String>,
}

/// One tensor's way from the input to the output.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedTensor {
    /// Its name in the output.
    pub name: String,
    /// Its name in the input; pruning layers renumbers the others.
    pub source_name: String,
    /// How it is stored in the input.
    pub from: TensorType,
    /// How it will be stored.
    pub to: TensorType,
    /// The rule that decided, and the fallback if there was one.
    pub why: String,
    /// The shape, row length first.
    pub shape: Vec<u64>,
    /// Rows over all further dimensions.
    pub rows: u64,
    /// Weights per row.
    pub row_length: u64,
    /// Rows of one attention head whose halves are interleaved on the way; 0 where rows stay in order.
    pub head_rows: u64,
    /// Where it begins in the input file.
    pub source_offset: u64,
    /// How many bytes it has there.
    pub source_bytes: u64,
    /// Where it goes in the output file, how many bytes it gets, and how many with the zeros after it.
    pub place: Place,
    /// Whether llama-quantize refuses to write it without importance.
    pub needs_importance: bool,
    /// Whether importance will be used for it.
    pub has_importance: bool,
}

impl PlannedTensor {
    /// Weights of one matrix of it: all of them, unless it is a stack of matrices (of experts).
    pub fn weights_per_matrix(&self) -> u64 {
        let rows = if self.shape.len() > 2 { self.shape.get(1).copied().unwrap_or(self.rows) } else { self.rows };
        rows.saturating_mul(self.row_length)
    }

    /// Bytes it will have, without padding.
    pub(super) fn target_bytes(&self) -> u64 {
        self.to.size_of(self.rows.saturating_mul(self.row_length)).unwrap_or(0)
    }

    /// A tensor under its own name, without importance; its place is found when all sizes are known.
    pub(super) fn of(tensor: &Tensor, to: TensorType, why: String) -> Self {
        PlannedTensor {
            name: tensor.name.clone(),
            source_name: tensor.name.clone(),
            from: tensor.stored,
            to,
            why,
            shape: tensor.shape.clone(),
            rows: tensor.rows(),
            row_length: tensor.row_length(),
            head_rows: tensor.head_rows,
            source_offset: tensor.offset,
            source_bytes: tensor.bytes,
            place: Place { offset: 0, bytes: 0, padded: 0 },
            needs_importance: false,
            has_importance: false,
        }
    }
}

impl Plan {
    /// The plan of a file of bitsandbytes' formats.
    pub(crate) fn of_four_bit(header: Vec<u8>, tensors: Vec<PlannedTensor>, size: u64, four_bit: FourBit) -> Plan {
        Plan { header, further: Vec::new(), tensors, size, four_bit: Some(four_bit), importance: None }
    }

    /// The importance of a tensor's columns: one weight per column, for every expert (`shape[2]`) in turn.
    pub fn importance(&self, index: usize) -> Option<&[f32]> {
        let tensor = self.tensors.get(index).filter(|tensor| tensor.has_importance)?;
        let entry = self.importance.as_ref()?.get(&tensor.source_name)?;
        Some(&entry.values)
    }
}

/// Plans a conversion of the model `header` describes.
///
/// The plan is that of `llama_model_quantize`, and refusing is part of it.
///
/// # Errors
/// - [`Code::UNKNOWN_NAME`], [`Code::ARGUMENT`], [`Code::RANGE`]: the recipe names what does not exist or contradicts itself.
/// - [`Code::NEEDS_IMPORTANCE`]: a tensor's type is useless without importance, and there is none for it.
/// - [`Code::ARGUMENT`]: a tensor is quantized already and the recipe does not allow requantizing.
/// - [`Code::LENGTH`]: the importance of a tensor has another length than its rows times experts, or a type the recipe
///   demands does not fit a tensor's rows.
/// - [`Code::TOO_LARGE`]: a tensor's name or dimensions are beyond what readers of its architecture take.
/// - [`Code::UNSUPPORTED`]: a type cannot be read or written, or no type fits; one shard of several without the others.
pub fn plan(header: &Header, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
    check_four_bit_options(recipe, importance.is_some())?;
    if let Some(kind) = four_bit_type(recipe) {
        let message = format!("{} is made of safetensors models, and this is gguf", kind.name);
        return Err(Error::new(Code::UNSUPPORTED, message).with("preset", kind.name));
    }
    let preset = Preset::by_name(&recipe.preset)?;
    let options = Options::resolve(recipe)?;
    refuse_shard(header)?;
    let importance = importance.and_then(|matrix| selected(matrix, recipe));
    let facts = Facts::of(header, &options.overrides);

    if recipe.plain && facts.architecture != PLAIN {
        let message = "plain is an option for safetensors models: a GGUF model keeps its architecture";
        return Err(Error::new(Code::ARGUMENT, message).with("option", "plain"));
    }
    let limits = Limits::of(&facts.architecture);
    let mut pruner = Pruner::new(&recipe.prune_layers);
    let written = written_tensors(header, recipe, &facts, &mut pruner)?;
    let names = written.iter().map(|(_, name)| name.as_str());
    let mut chooser = Chooser::new(preset, &options, &facts, importance.is_some(), names);
    let stated = if preset.is_copy() { stated_ftype(header, &options, &written) } else { preset.ftype };
    let mut tensors = Vec::with_capacity(written.len());
    for (tensor, name) in written {
        let placed = |error: Error| error.within(&format!("tensor '{name}'"));
        let decision = chooser.choose(tensor, &name).map_err(placed)?;
        let needs_importance = decision.kind != tensor.kind && needs_importance(&name, decision.kind, preset.ftype);
        let mut planned = PlannedTensor {
            needs_importance,
            has_importance: has_importance(tensor, decision.kind, importance.as_ref()).map_err(placed)?,
            ..PlannedTensor::of(tensor, decision.kind, decision.why)
        };
        if !is_image(&facts.architecture) {
            // As ggml does; what was written by others may have dimensions of one at the end.
            planned.shape.truncate(tensor.dimensions());
        }
        limits.check(&name, planned.shape.len()).map_err(placed)?;
        if tensor.stored == tensor.kind || decision.kind != tensor.kind {
            check_conversion(&planned, tensor.stored != tensor.kind, recipe).map_err(placed)?;
        }
        planned.name = name;
        tensors.push(planned);
    }

    let architecture = &facts.architecture;
    let pairs = metadata::pairs(header, &options, stated, importance.as_ref(), &pruner, architecture)?;
    let split = Split::of(recipe, header, &tensors)?;
    Ok(Plan { importance, ..split.plan(&pairs, tensors)? })
}

/// A shard holds only some tensors of a model, and rules ask how many there are.
fn refuse_shard(header: &Header) -> Result<()> {
    let count = header.split_count();
    if count <= 1 || !header.shards().is_empty() {
        return Ok(());
    }
    let number = header.split_number().saturating_add(1);
    let message = format!("this file is shard {number} of {count}; open all of them together");
    Err(Error::new(Code::UNSUPPORTED, message).with("shard", number).with("shards", count))
}

/// The importance a recipe uses, if any is left.
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

/// The tensors that are written, in order, with the names they get. Those of image models stay in the order of the file, as
/// in the llama.cpp that ComfyUI-GGUF patches.
fn written_tensors<'a>(
    header: &'a Header,
    recipe: &Recipe,
    facts: &Facts,
    pruner: &mut Pruner,
) -> Result<Vec<(&'a Tensor, String)>> {
    let tensors: Vec<&Tensor> = header.tensors().iter().collect();
    let order = match is_image(&facts.architecture) {
        true => tensors,
        false => sorted(&tensors, |a, b| compare(&a.name, &b.name)),
    };
    let mut written: Vec<(&Tensor, String)> = Vec::with_capacity(order.len());
    for tensor in order {
        let Some(name) = pruner.rename(&tensor.name)? else { continue };
        written.push((tensor, name));
    }
    let mut names = HashSet::new();
    if let Some((_, name)) = written.iter().find(|(_, name)| !names.insert(name.as_str())) {
        let message = format!("pruning layers would give two tensors the name '{name}'");
        return Err(Error::new(Code::ARGUMENT, message).with("tensor", name.as_str()));
    }
    drop(names);
    if recipe.keep_split {
        // The order of the files, and within each of its bytes.
        written.sort_by_key(|(tensor, _)| tensor.offset);
    }
    Ok(written)
}

/// Types that are useless without importance, but for the tables of tokens; Q2_K is one only in its small preset.
fn needs_importance(name: &str, kind: TensorType, number: u32) -> bool {
    const EXEMPT: &[&str] = &["token_embd.weight", "per_layer_token_embd.weight", "output.weight"];
    const ALWAYS: &[TensorType] = &[
        TensorType::IQ3_XXS,
        TensorType::IQ2_XXS,
        TensorType::IQ2_XS,
        TensorType::IQ2_S,
        TensorType::IQ1_M,
        TensorType::IQ1_S,
    ];
    let small_q2 = kind == TensorType::Q2_K && PresetSet::of(&[ftype::Q2_K_S]).has(number);
    !EXEMPT.contains(&name) && (ALWAYS.contains(&kind) || small_q2)
}

/// Whether there is importance for a tensor that is encoded.
fn has_importance(tensor: &Tensor, kind: TensorType, importance: Option<&ImportanceMatrix>) -> Result<bool> {
    let entry = importance.filter(|_| kind != tensor.kind).and_then(|matrix| matrix.get(&tensor.name));
    let Some(entry) = entry else { return Ok(false) };
    let (have, want) = (entry.values.len() as u64, tensor.row_length().saturating_mul(tensor.dimension(2)));
    if have == want && tensor.dimension(3) == 1 {
        return Ok(true);
    }
    if tensor.name == "token_embd.weight" || tensor.name == "per_layer_token_embd.weight" {
        return Ok(false); // its rows are tokens, so measured importance never fits it
    }
    let message = format!("its importance has {have} values, and its columns times experts are {want}");
    Err(Error::new(Code::LENGTH, message).with("actual", have).with("expected", want))
}

/// `made` is a tensor of a model that was converted on the way: what it is stored as is not what llama-quantize would see.
fn check_conversion(tensor: &PlannedTensor, made: bool, recipe: &Recipe) -> Result<()> {
    let PlannedTensor { from, to, needs_importance, has_importance, .. } = tensor;
    if from == to || recipe.dry_run {
        return Ok(());
    }
    if *needs_importance && !has_importance {
        let message = format!("{} needs an importance matrix: without one its output is useless", to.name);
        return Err(Error::new(Code::NEEDS_IMPORTANCE, message).with("format", to.name));
    }
    if from.is_quantized() && !recipe.allow_requantize {
        let message = format!("it is {} already, and requantizing loses quality; allow it if that is meant", from.name);
        return Err(Error::new(Code::ARGUMENT, message).with("format", from.name));
    }
    const FLOATS: &[TensorType] =
        &[TensorType::F32, TensorType::F16, TensorType::BF16, TensorType::F8_E4M3, TensorType::F8_E5M2];
    let float = FLOATS.contains(from) || made && *from == TensorType::F64;
    if !from.is_quantized() && !float || Codec::by_id(from.id).is_none() && !from.is_foreign() {
        let message = format!("{} is not converted to other types", from.name);
        return Err(Error::new(Code::UNSUPPORTED, message).with("format", from.name));
    }
    match Codec::by_id(to.id).filter(|codec| codec.can_encode()) {
        Some(_) => Ok(()),
        None => Err(Error::new(Code::UNSUPPORTED, format!("{} cannot be written", to.name)).with("format", to.name)),
    }
}

/// The `general.file_type` a copy keeps: what the file states, or a guess from its most frequent type.
fn stated_ftype(header: &Header, options: &Options, written: &[(&Tensor, String)]) -> u32 {
    let stated = Lookup { header, overrides: &options.overrides }.number("general.file_type");
    if let Some(number) = stated.and_then(|number| u32::try_from(number).ok()) {
        return number;
    }
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    let (mut most, mut kind) = (0, TensorType::F32);
    for (tensor, _) in written {
        let count = counts.entry(tensor.kind.id).or_default();
        *count += 1;
        if *count > most {
            (most, kind) = (*count, tensor.kind);
        }
    }
    guessed_ftype(kind)
}
