//! Detection of weights that are already quantized: tensors (such as scales) without which the codes of another tensor
//! would decode to wrong weights, often off by a factor of hundreds.
//!
//! Source: the names are those of `quant_ops.py`, `ops.py` and `utils.py` of ComfyUI (GPL-3.0) for scaled F8 and the
//! mixed formats, and those of compressed-tensors and bitsandbytes for the others. Only names are taken from these
//! projects.

use super::folder::Folder;
use crate::error::{Code, Error, Result};

/// Last name components of tensors that belong to the tensor named before them.
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
/// Complete names of tensors that apply to all others.
const MARKERS: &[&str] = &["scaled_fp8"];
/// Prefix of the last name component of bitsandbytes' quantization state.
const STATE: &str = "quant_state.";
/// The key of `__metadata__` with the format of each layer.
const METADATA: &str = "_quantization_metadata";

/// Whether a tensor belongs to another tensor, by its name.
pub(super) fn is(name: &str) -> bool {
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    MARKERS.contains(&last) || name.contains('.') && COMPANIONS.contains(&last) || name.contains(&format!(".{STATE}"))
}

/// Rejects a model whose weights are codes with separate scales.
///
/// # Errors
/// [`Code::UNSUPPORTED`] with the name of the first such tensor.
pub(super) fn refuse(folder: &Folder) -> Result<()> {
    let found = folder.tensors().iter().map(|tensor| tensor.name.as_str()).find(|name| is(name));
    let stated = folder.metadata().iter().any(|(key, _)| key == METADATA).then_some(METADATA);
    let Some(name) = found.or(stated) else { return Ok(()) };
    let message = format!(
        "the weights are already quantized: '{name}' holds scales of other tensors, which would be lost. Open the \
         model in F32, F16 or BF16"
    );
    Err(Error::new(Code::UNSUPPORTED, message).with("tensor", name))
}
