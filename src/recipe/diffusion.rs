//! Image and video models: the tensors that ComfyUI-GGUF's patch of `llama-quantize` keeps, and its mixes for the
//! others.
//!
//! Three kinds of matrices have their own rules. The first rule of the kind that matches the preset applies; without
//! one, a matrix gets the preset's default type. Rows that are not whole blocks become F16, while language models get a
//! type with smaller blocks.
//!
//! Source: `tools/lcpp.patch` of ComfyUI-GGUF (Apache-2.0, commit 795e451); the lists are taken from it (see NOTICE).
//! The patch was made for llama.cpp b3962 and rejects most IQ presets, which ComfyUI-GGUF's loader now supports. Those,
//! and newer presets, follow llama-quantize's rules here.

use super::preset::{PresetSet, ftype};
use crate::container::gguf::{Tensor, TensorType};
use crate::error::{Code, Error, Result};

/// Architectures, and the tensors they keep.
#[derive(Debug)]
pub(super) struct KeptTensors {
    architectures: &'static [&'static str],
    /// Substrings of names.
    parts: &'static [&'static str],
    /// Complete names.
    names: &'static [&'static str],
}

static KEPT: &[KeptTensors] = &[
    KeptTensors {
        architectures: &["flux", "hyvid"],
        parts: &["txt_in.", "img_in.", "time_in.", "vector_in.", "guidance_in.", "final_layer."],
        names: &[],
    },
    KeptTensors {
        architectures: &["sd1", "sdxl"],
        parts: &[
            "class_embedding.",
            "time_embedding.",
            "add_embedding.",
            "time_embed.",
            "label_emb.",
            "conv_in.",
            "conv_out.",
        ],
        names: &["input_blocks.0.0.weight", "out.2.weight"],
    },
    KeptTensors {
        architectures: &["sd3"],
        parts: &["final_layer.", "time_text_embed.", "context_embedder.", "t_embedder.", "y_embedder.", "x_embedder."],
        names: &["proj_out.weight", "pos_embed"],
    },
    KeptTensors {
        architectures: &["aura"],
        parts: &["t_embedder.", "init_x_linear."],
        names: &[
            "modF.1.weight",
            "cond_seq_linear.weight",
            "final_linear.weight",
            "positional_encoding",
            "register_tokens",
        ],
    },
    KeptTensors {
        architectures: &["ltxv"],
        parts: &["adaln_single.", "caption_projection.", "patchify_proj.", "proj_out.", "scale_shift_table"],
        names: &[],
    },
    KeptTensors {
        architectures: &["wan"],
        parts: &[
            "modulation.",
            "patch_embedding.",
            "text_embedding.",
            "time_projection.",
            "time_embedding.",
            "img_emb.",
            "head.",
        ],
        names: &[],
    },
    KeptTensors {
        architectures: &["hidream"],
        parts: &[
            "p_embedder.",
            "t_embedder.",
            "x_embedder.",
            "final_layer.",
            ".ff_i.gate.weight",
            "caption_projection.",
        ],
        names: &[],
    },
    KeptTensors {
        architectures: &["cosmos"],
        parts: &["p_embedder.", "t_embedder.", "t_embedding_norm.", "x_embedder.", "pos_embedder.", "final_layer."],
        names: &[],
    },
    KeptTensors {
        architectures: &["lumina2"],
        parts: &["t_embedder.", "x_embedder.", "final_layer.", "cap_embedder.", "context_refiner.", "noise_refiner."],
        names: &[],
    },
];

impl KeptTensors {
    /// Those of an architecture; `None` if its models do not generate images or video.
    pub fn of(architecture: &str) -> Option<&'static KeptTensors> {
        KEPT.iter().find(|known| known.architectures.contains(&architecture))
    }

    /// The reason why a tensor with the output name `name` keeps its type, if it does.
    pub fn reason(&self, tensor: &Tensor, name: &str) -> Option<&'static str> {
        if tensor.dimensions() != 2 {
            return Some("only matrices of image models are quantized");
        }
        let kept = self.names.contains(&name) || self.parts.iter().any(|part| name.contains(part));
        kept.then_some("input and output layers of image models are kept")
    }
}

/// Whether models of this architecture generate images or video. Their tensors keep trailing dimensions of one, which
/// the loader needs and ggml drops.
pub(crate) fn is_diffusion(architecture: &str) -> bool {
    KeptTensors::of(architecture).is_some()
}

/// The presets for which the patch has rules or at least a type. IQ3_XS is not among the IQ presets that it rejects.
const PRESETS: PresetSet = PresetSet::of(&[
    ftype::Q4_0,
    ftype::Q4_1,
    ftype::Q5_0,
    ftype::Q5_1,
    ftype::Q8_0,
    ftype::Q2_K,
    ftype::Q2_K_S,
    ftype::Q3_K_S,
    ftype::Q3_K_M,
    ftype::Q3_K_L,
    ftype::Q4_K_S,
    ftype::Q4_K_M,
    ftype::Q5_K_S,
    ftype::Q5_K_M,
    ftype::Q6_K,
    ftype::IQ3_XS,
    ftype::TQ1_0,
    ftype::TQ2_0,
]);

/// A kind of matrix.
struct Kind {
    /// A name matches if it contains all substrings of one of the lists.
    names: &'static [&'static [&'static str]],
    rules: &'static [Rule],
    why: &'static str,
}

/// The type for a preset.
struct Rule {
    preset: u32,
    /// The number of matrices of this kind, in file order, to which the rule applies.
    first: u64,
    dtype: TensorType,
}

const fn rule(preset: u32, dtype: TensorType) -> Rule {
    first(u64::MAX, preset, dtype)
}

const fn first(first: u64, preset: u32, dtype: TensorType) -> Rule {
    Rule { preset, first, dtype }
}

/// A name belongs to the first kind that it matches.
const KINDS: [Kind; 3] = [
    Kind {
        names: &[
            &["attn_v.weight"],
            &[".to_v.weight"],
            &[".v.weight"],
            &[".attn.w1v.weight"],
            &[".attn.w2v.weight"],
            &["_attn.v_proj.weight"],
        ],
        rules: &[
            rule(ftype::Q2_K, TensorType::Q3_K),
            first(2, ftype::Q3_K_M, TensorType::Q5_K),
            rule(ftype::Q3_K_M, TensorType::Q4_K),
            rule(ftype::Q3_K_L, TensorType::Q5_K),
            first(4, ftype::Q4_K_S, TensorType::Q5_K),
            rule(ftype::Q4_K_M, TensorType::Q6_K),
            rule(ftype::Q5_K_M, TensorType::Q6_K),
        ],
        why: "attention values of image models get more bits",
    },
    Kind {
        names: &[&["attn_qkv.weight"], &["attn.qkv.weight"], &["attention.qkv.weight"]],
        rules: &[
            rule(ftype::Q3_K_M, TensorType::Q4_K),
            rule(ftype::Q3_K_L, TensorType::Q4_K),
            rule(ftype::Q4_K_M, TensorType::Q5_K),
            rule(ftype::Q5_K_M, TensorType::Q6_K),
        ],
        why: "attention values of image models, stored with queries and keys, get more bits",
    },
    Kind {
        names: &[
            &["ffn_down"],
            &["experts.", ".w2.weight"],
            &[".ffn.2.weight"],
            &[".ff.net.2.weight"],
            &[".mlp.layer2.weight"],
            &[".adaln_modulation_mlp.2.weight"],
            &[".feed_forward.w2.weight"],
        ],
        rules: &[
            rule(ftype::Q3_K_M, TensorType::Q4_K),
            rule(ftype::Q3_K_L, TensorType::Q5_K),
            rule(ftype::Q4_K_S, TensorType::Q5_K),
            rule(ftype::Q4_K_M, TensorType::Q6_K),
            rule(ftype::Q5_K_M, TensorType::Q6_K),
            rule(ftype::Q4_0, TensorType::Q4_1),
            rule(ftype::Q5_0, TensorType::Q5_1),
        ],
        why: "the second matrices of image models' feed-forward layers get more bits",
    },
];

/// Substrings of names in diffusers' layout and in complete checkpoints, which the loader does not support.
const FOREIGN: &[&str] =
    &["model.diffusion_model.", "first_stage_model.", "single_transformer_blocks.", "joint_transformer_blocks."];

/// Rejects a tensor name of an image model that does not have its architecture's GGUF layout.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for such a name.
pub(super) fn check_layout(architecture: &str, name: &str) -> Result<()> {
    match FOREIGN.iter().find(|part| name.contains(**part)) {
        None => Ok(()),
        Some(part) => {
            let message =
                format!("tensor names of a {architecture} GGUF must not contain '{part}'; convert the original model");
            Err(Error::new(Code::UNSUPPORTED, message).with("architecture", architecture))
        }
    }
}

/// The mixes of a preset for image models; counts the matrices of each kind.
#[derive(Debug, Default)]
pub(super) struct DiffusionMix {
    counts: [u64; KINDS.len()],
}

impl DiffusionMix {
    /// `None` if llama-quantize's own rules apply to this architecture and preset.
    pub fn of(architecture: &str, preset: u32) -> Option<Self> {
        (is_diffusion(architecture) && PRESETS.has(preset)).then(Self::default)
    }

    /// The type of the next matrix, with the reason; `default` is the preset's default type.
    pub fn choose(&mut self, preset: u32, name: &str, default: TensorType) -> (TensorType, &'static str) {
        let is_of = |kind: &Kind| kind.names.iter().any(|parts| parts.iter().all(|part| name.contains(part)));
        let found = KINDS.iter().zip(&mut self.counts).find(|(kind, _)| is_of(kind));
        let rule = found.and_then(|(kind, count)| {
            let index = *count;
            *count += 1;
            let rule = kind.rules.iter().find(|rule| rule.preset == preset && index < rule.first)?;
            Some((rule.dtype, kind.why))
        });
        rule.unwrap_or((default, "the preset's default type"))
    }
}

/// `wanted` if rows of this length are whole blocks of it, otherwise F16.
pub(super) fn fitting(wanted: TensorType, row_length: u64) -> TensorType {
    if row_length.is_multiple_of(wanted.weights) { wanted } else { TensorType::F16 }
}
