//! Conversion of image and video models to the GGUF that ComfyUI-GGUF's loader expects.
//!
//! Source: `tools/convert.py` and `loader.py` of ComfyUI-GGUF (Apache-2.0); the table contains its detection keys (see
//! NOTICE).

use super::folder::{Float, Folder};
use super::plain::imported_tensor;
use super::prequantized;
use crate::container::gguf::{Array, Header, MAX_DIMS, TensorType, Value, ValueType, array_items};
use crate::container::safetensors::SafetensorsTensor;
use crate::error::{Code, Error, Result};
use crate::recipe::MAX_DIFFUSION_NAME;

/// An architecture, and how it is detected.
#[derive(Debug)]
pub(super) struct Architecture {
    /// `general.architecture`.
    name: &'static str,
    /// Lists of tensor names; the architecture matches if all names of any list exist.
    detect: &'static [&'static [&'static str]],
    /// If any of these exists, the model is in diffusers' layout, which the loader does not support.
    banned: &'static [&'static str],
    /// Substrings of the names of tensors that stay in F32.
    precise: &'static [&'static str],
    /// Substrings of the names of tensors that are omitted.
    ignored: &'static [&'static str],
    /// Whether rows that are not a multiple of 256 are reshaped, with the original shape stored in the metadata.
    reshapes: bool,
}

const NONE: Architecture =
    Architecture { name: "", detect: &[], banned: &[], precise: &[], ignored: &[], reshapes: false };

/// In the order in which they are tried.
static ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "flux",
        detect: &[&["transformer_blocks.0.attn.norm_added_k.weight"], &["double_blocks.0.img_attn.proj.weight"]],
        banned: &["transformer_blocks.0.attn.norm_added_k.weight"],
        ..NONE
    },
    Architecture {
        name: "sd3",
        detect: &[&["transformer_blocks.0.attn.add_q_proj.weight"], &["joint_blocks.0.x_block.attn.qkv.weight"]],
        banned: &["transformer_blocks.0.attn.add_q_proj.weight"],
        ..NONE
    },
    Architecture {
        name: "aura",
        detect: &[&["double_layers.3.modX.1.weight"], &["joint_transformer_blocks.3.ff_context.out_projection.weight"]],
        banned: &["joint_transformer_blocks.3.ff_context.out_projection.weight"],
        ..NONE
    },
    Architecture {
        name: "hidream",
        detect: &[&[
            "caption_projection.0.linear.weight",
            "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight",
        ]],
        precise: &[".ff_i.gate.weight", "img_emb.emb_pos"],
        ..NONE
    },
    Architecture {
        name: "cosmos",
        detect: &[&["blocks.0.mlp.layer1.weight", "blocks.0.adaln_modulation_cross_attn.1.weight"]],
        precise: &["pos_embedder"],
        ignored: &["_extra_state", "accum_"],
        ..NONE
    },
    Architecture {
        name: "ltxv",
        detect: &[&[
            "adaln_single.emb.timestep_embedder.linear_2.weight",
            "transformer_blocks.27.scale_shift_table",
            "caption_projection.linear_2.weight",
        ]],
        precise: &["scale_shift_table"],
        ..NONE
    },
    Architecture {
        name: "hyvid",
        detect: &[&[
            "double_blocks.0.img_attn_proj.weight",
            "txt_in.individual_token_refiner.blocks.1.self_attn_qkv.weight",
        ]],
        ..NONE
    },
    Architecture {
        name: "wan",
        detect: &[&["blocks.0.self_attn.norm_q.weight", "text_embedding.2.weight", "head.modulation"]],
        precise: &[".modulation"],
        ..NONE
    },
    Architecture {
        name: "sdxl",
        detect: &[
            &["down_blocks.0.downsamplers.0.conv.weight", "add_embedding.linear_1.weight"],
            &[
                "input_blocks.3.0.op.weight",
                "input_blocks.6.0.op.weight",
                "output_blocks.2.2.conv.weight",
                "output_blocks.5.2.conv.weight",
            ],
            &["label_emb.0.0.weight"],
        ],
        reshapes: true,
        ..NONE
    },
    Architecture {
        name: "sd1",
        detect: &[
            &["down_blocks.0.downsamplers.0.conv.weight"],
            &[
                "input_blocks.3.0.op.weight",
                "input_blocks.6.0.op.weight",
                "input_blocks.9.0.op.weight",
                "output_blocks.2.1.conv.weight",
                "output_blocks.5.2.conv.weight",
                "output_blocks.8.2.conv.weight",
            ],
        ],
        reshapes: true,
        ..NONE
    },
    Architecture {
        name: "lumina2",
        detect: &[&["cap_embedder.1.weight", "context_refiner.0.attention.qkv.weight"]],
        ..NONE
    },
];

/// Prefixes of the diffusion model's tensor names, for models in separate files and for checkpoints with a VAE and text
/// encoders. The script strips the first, `model.` and `net.`; ComfyUI's own loaders also strip the second.
const PREFIXES: &[&str] = &["model.diffusion_model.", "diffusion_model.", "model.", "net.", ""];
/// Tensors with at most this many weights stay in F32.
const SMALL: u64 = 1024;
/// Tensors with fewer weights are not reshaped.
const RESHAPED: u64 = 512;
/// The number of weights of a super-block; rows are reshaped to a multiple of it.
const BLOCK: u64 = 256;

impl Architecture {
    /// Returns the architecture of a model and the prefix of its tensors, or `None` if it is not a diffusion model.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a model in diffusers' layout.
    pub fn of(folder: &Folder) -> Result<Option<(&'static Architecture, &'static str)>> {
        let known = |prefix: &'static str| {
            let has = |key: &&str| folder.has(&format!("{prefix}{key}"));
            let found = ARCHITECTURES.iter().find(|a| a.detect.iter().any(|keys| keys.iter().all(has)));
            Some((found?, prefix))
        };
        let Some((found, prefix)) = PREFIXES.iter().find_map(|prefix| known(prefix)) else { return Ok(None) };
        let has = |key: &&str| folder.has(&format!("{prefix}{key}"));
        if found.banned.iter().any(has) {
            let message = format!(
                "this is a {} model in diffusers' layout, which ComfyUI-GGUF's loader does not support. Open the model in its original layout, the \
                 file that ComfyUI loads",
                found.name
            );
            return Err(Error::new(Code::UNSUPPORTED, message).with("architecture", found.name));
        }
        Ok(Some((found, prefix)))
    }

    /// The dtype of a tensor: F32 for tensors that need precision; integers and F8 are handled separately.
    fn dtype(&self, name: &str, tensor: &SafetensorsTensor, float: Float) -> TensorType {
        if tensor.shape.len() > MAX_DIMS as usize {
            // As fix_5d_tensors.py adds them: the loader has no layer that would cast these to a wider dtype.
            return TensorType::F32;
        }
        let wide = !matches!(tensor.dtype, TensorType::F16 | TensorType::F8_E4M3 | TensorType::F8_E5M2);
        let weights: u64 = tensor.shape.iter().product();
        let small = tensor.shape.len() <= 1 || weights <= SMALL;
        if wide && (small || self.precise.iter().any(|part| name.contains(part))) {
            TensorType::F32
        } else {
            float.of(tensor.dtype)
        }
    }
}

/// The header of a diffusion model, with the original shape of each reshaped tensor in the metadata.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for weights that are already quantized, and for a tensor that GGUF cannot store.
pub(super) fn header(folder: &Folder, architecture: &Architecture, prefix: &str, float: Float) -> Result<Header> {
    prequantized::refuse(folder)?;
    let mut shapes: Vec<(String, Vec<u8>, u64)> = Vec::new();
    let mut tensors = Vec::new();
    for tensor in folder.tensors() {
        let Some(name) = tensor.name.strip_prefix(prefix) else { continue };
        if architecture.ignored.iter().any(|part| name.contains(part)) {
            continue;
        }
        let dtype = architecture.dtype(name, tensor, float);
        let folded = SafetensorsTensor { shape: folded(architecture, &tensor.shape).into(), ..tensor.clone() };
        if folded.shape != tensor.shape {
            let dims: Vec<_> = tensor.shape.iter().map(|n| Value::I32(i32::try_from(*n).unwrap_or(i32::MAX))).collect();
            let items = array_items(ValueType::I32, &dims)?;
            shapes.push((format!("comfy.gguf.orig_shape.{name}"), items, dims.len() as u64));
        }
        tensors.push(imported_tensor(&folded, name.into(), dtype, MAX_DIFFUSION_NAME)?);
    }
    let file_type = float.file_type(folder.tensors().iter().map(|tensor| tensor.dtype));
    let mut pairs = vec![("general.architecture".to_owned(), Value::String(architecture.name.as_bytes()))];
    pairs.push(("general.quantization_version".to_owned(), Value::U32(2)));
    pairs.push(("general.file_type".to_owned(), Value::U32(file_type)));
    for (key, items, len) in &shapes {
        pairs.push((key.clone(), Value::Array(Array { element: ValueType::I32, len: *len, items })));
    }
    Ok(Header::imported(&pairs, tensors, folder.size()))
}

/// The shape in the file: whole super-blocks if the architecture reshapes, and at most four dimensions.
fn folded(architecture: &Architecture, shape: &[u64]) -> Vec<u64> {
    let weights: u64 = shape.iter().product();
    let row = shape.last().copied().unwrap_or(1);
    let reshapes = architecture.reshapes && shape.len() > 1 && weights >= RESHAPED;
    if reshapes && weights.is_multiple_of(BLOCK) && !row.is_multiple_of(BLOCK) {
        return vec![weights / BLOCK, BLOCK];
    }
    let extra = shape.len().saturating_sub(MAX_DIMS as usize);
    // Kernels of video models: the leading dimensions are merged into one.
    let (leading, rest) = shape.split_at(if extra > 0 { extra + 1 } else { 0 });
    if leading.is_empty() {
        return rest.to_vec();
    }
    std::iter::once(leading.iter().product()).chain(rest.iter().copied()).collect()
}
