//! Tensors that say what the codes of another tensor mean: weights without them would be wrong, often by hundreds of times.
//!
//! Source: `quant_ops.py`, `ops.py` and `utils.py` of ComfyUI (GPL-3.0) for the names of scaled eight-bit floats and of the mixed
//! formats; compressed-tensors and bitsandbytes for the others. Only the names are taken over.

use super::folder::Folder;
use crate::error::{Code, Error, Result};

/// Last parts of names, of tensors that belong to the one named before them.
const COMPANIONS: &[&str] = &[
    "scale_weight",
    "scale_input",
    "weight_scale",
    "weight_scale_2",
    "weight_scale_inv",
    "weight_global_scale",
    "weight_zero_point",
    "weight_packed",
    "input_scale",
    "input_global_scale",
    "pre_quant_scale",
    "comfy_quant",
    "absmax",
    "nested_absmax",
    "quant_map",
    "nested_quant_map",
    "qweight",
    "qzeros",
    "g_idx",
    "SCB",
];
/// Whole names of tensors that speak of all others.
const MARKERS: &[&str] = &["scaled_fp8"];
/// The beginning of a last part: bitsandbytes' state of a tensor.
const STATE: &str = "quant_state.";
/// The key of `__metadata__` that names the format of each layer.
const METADATA: &str = "_quantization_metadata";

/// Whether a tensor's name says that it belongs to another tensor.
pub(super) fn is(name: &str) -> bool {
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    MARKERS.contains(&last) || name.contains('.') && COMPANIONS.contains(&last) || name.contains(&format!(".{STATE}"))
}

/// Refuses a model whose weights are codes with scales beside them.
///
/// # Errors
/// [`Code::UNSUPPORTED`] with the name of the first such tensor.
pub(super) fn refuse(folder: &Folder) -> Result<()> {
    let found = folder.tensors().iter().map(|tensor| tensor.name.as_str()).find(|name| is(name));
    let stated = folder.metadata().iter().any(|(key, _)| key == METADATA).then_some(METADATA);
    let Some(name) = found.or(stated) else { return Ok(()) };
    let message = format!(
        "the weights are quantized already: '{name}' has the scales of others, without which they are wrong. Open the \
         model in F32, F16 or BF16"
    );
    Err(Error::new(Code::UNSUPPORTED, message).with("tensor", name))
}
