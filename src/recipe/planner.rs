//! The planner: from a header, a recipe and importance to the output's tensors, positions and final header.

use super::bnb::{bnb_type, check_bnb_options};
use super::diffusion::is_diffusion;
use super::dtype_selection::DtypeSelector;
use super::hparams::{HParams, Lookup};
use super::metadata;
use super::options::{Options, Recipe};
use super::plan::{Plan, PlannedTensor};
use super::preset::{Preset, PresetSet, ftype, guessed_ftype};
use super::reader_limits::{Limits, PLAIN};
use super::split::Split;
use super::tensor_names::{Pruner, compare};
use crate::container::gguf::{Header, Tensor, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::interning::{Interner, Name};
use crate::sort::sorted;
use std::collections::HashSet;

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
    check_bnb_options(recipe, importance.is_some())?;
    if let Some(dtype) = bnb_type(recipe) {
        let message = format!("{} is made of safetensors models, and this is gguf", dtype.name);
        return Err(Error::new(Code::UNSUPPORTED, message).with("preset", dtype.name));
    }
    let preset = Preset::by_name(&recipe.preset)?;
    let options = Options::resolve(recipe)?;
    refuse_shard(header)?;
    let importance = importance.and_then(|matrix| selected(matrix, recipe));
    let hparams = HParams::of(header, &options.overrides);

    if recipe.plain && hparams.architecture != PLAIN {
        let message = "plain applies only to safetensors models; a GGUF model keeps its architecture";
        return Err(Error::new(Code::ARGUMENT, message).with("option", "plain"));
    }
    let limits = Limits::of(&hparams.architecture);
    let mut pruner = Pruner::new(&recipe.prune_layers);
    let written = written_tensors(header, recipe, &hparams, &mut pruner)?;
    let names = written.iter().map(|(_, name)| name.as_str());
    let mut selector = DtypeSelector::new(preset, &options, &hparams, importance.is_some(), names);
    let stated = if preset.is_copy() { stated_ftype(header, &options, &written) } else { preset.ftype };
    let mut tensors = Vec::with_capacity(written.len());
    let mut shapes = Interner::default();
    for (tensor, name) in written {
        let placed = |error: Error| error.within(&format!("tensor '{name}'"));
        let selected = selector.choose(tensor, &name).map_err(placed)?;
        let needs_importance = selected.dtype != tensor.dtype && needs_importance(&name, selected.dtype, preset.ftype);
        let mut planned = PlannedTensor {
            needs_importance,
            has_importance: has_importance(tensor, selected.dtype, importance.as_ref()).map_err(placed)?,
            ..PlannedTensor::of(tensor, selected.dtype, selected.why)
        };
        if !is_diffusion(&hparams.architecture) {
            // As ggml does; other programs may write trailing dimensions of one.
            planned.shape = shapes.intern(tensor.shape.get(..tensor.dimensions()).unwrap_or(&tensor.shape));
        }
        limits.check(&name, planned.shape.len()).map_err(placed)?;
        if tensor.stored_dtype == tensor.dtype || selected.dtype != tensor.dtype {
            check_conversion(&planned, tensor.stored_dtype != tensor.dtype, recipe).map_err(placed)?;
        }
        planned.name = name;
        tensors.push(planned);
    }

    let architecture = &hparams.architecture;
    let pairs = metadata::pairs(header, &options, stated, importance.as_ref(), &pruner, architecture)?;
    let split = Split::of(recipe, header, &tensors)?;
    Ok(Plan { importance, ..split.plan(&pairs, tensors)? })
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

/// The tensors to be written, in output order, with their output names. Those of image models stay in file order, as in
/// the llama.cpp version that ComfyUI-GGUF patches.
fn written_tensors<'a>(
    header: &'a Header,
    recipe: &Recipe,
    hparams: &HParams,
    pruner: &mut Pruner,
) -> Result<Vec<(&'a Tensor, Name)>> {
    let tensors: Vec<&Tensor> = header.tensors().iter().collect();
    let order = match is_diffusion(&hparams.architecture) {
        true => tensors,
        false => sorted(&tensors, |a, b| compare(&a.name, &b.name)),
    };
    let mut written: Vec<(&Tensor, Name)> = Vec::with_capacity(order.len());
    for tensor in order {
        let Some(name) = pruner.rename(&tensor.name)? else { continue };
        written.push((tensor, name));
    }
    let mut names = HashSet::new();
    if pruner.is_active()
        && let Some((_, name)) = written.iter().find(|(_, name)| !names.insert(name.as_str()))
    {
        let message = format!("pruning layers would give two tensors the name '{name}'");
        return Err(Error::new(Code::ARGUMENT, message).with("tensor", name.as_str()));
    }
    if recipe.keep_split {
        // In the order of the files, and by offset within each.
        let order = sorted(&written.iter().collect::<Vec<_>>(), |a, b| a.0.offset.cmp(&b.0.offset));
        written = order.into_iter().cloned().collect();
    }
    Ok(written)
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

/// The `general.file_type` of a copy: as stated in the file, or guessed from its most frequent dtype.
fn stated_ftype(header: &Header, options: &Options, written: &[(&Tensor, Name)]) -> u32 {
    let stated = Lookup { header, overrides: &options.overrides }.number("general.file_type");
    if let Some(number) = stated.and_then(|number| u32::try_from(number).ok()) {
        return number;
    }
    let mut counts: Vec<(u32, u32)> = Vec::new();
    let (mut most, mut dtype) = (0, TensorType::F32);
    for (tensor, _) in written {
        let known = counts.iter().position(|(id, _)| *id == tensor.dtype.id);
        let index = known.unwrap_or_else(|| {
            counts.push((tensor.dtype.id, 0));
            counts.len() - 1
        });
        counts[index].1 += 1;
        if counts[index].1 > most {
            (most, dtype) = (counts[index].1, tensor.dtype);
        }
    }
    guessed_ftype(dtype)
}
