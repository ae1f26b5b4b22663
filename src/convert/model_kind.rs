//! Which conversion a model needs: determined by config.json or, without one, by the names of its tensors.
//!
//! Nothing is guessed: any other model is rejected, naming its class or what it looks like.

use super::diffusion;
use super::folder::Folder;
use super::language;
use crate::error::{Code, Error, Result};
use crate::json::{self, Value};

const CONFIG: &str = "config.json";

/// The conversion of a model.
pub(super) enum Kind {
    /// To the GGUF of llama.cpp's converter.
    Language,
    /// To the GGUF of ComfyUI-GGUF's converter, from the tensors with this prefix.
    Diffusion(&'static diffusion::Architecture, &'static str),
}

/// Determines the conversion of a model.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for an unsupported class or unknown tensors; [`Code::MALFORMED`] for a config.json that is not
/// JSON or names no class.
pub(super) fn of(folder: &Folder) -> Result<Kind> {
    let Some(bytes) = folder.file(CONFIG) else { return of_tensors(folder) };
    let config = json::parse(bytes, CONFIG).map_err(|error| error.with("file", CONFIG))?;
    if let Some(class) = language::class(&config) {
        return if language::converts(class) { Ok(Kind::Language) } else { Err(refused(folder, class)) };
    }
    // Configurations of diffusion models, written by diffusers, have a different key.
    match (diffusion::Architecture::of(folder), config.get("_class_name").and_then(Value::as_str)) {
        (Ok(Some((architecture, prefix))), _) => Ok(Kind::Diffusion(architecture, prefix)),
        (_, Some(class)) => Err(refused(folder, class)),
        (Err(error), None) => Err(error),
        (Ok(None), None) => {
            let message = format!(
                "{}: there is no 'architectures' with the class of the model. Add it, or request a plain container \
                 (--plain, plain: true)",
                path(folder)
            );
            Err(Error::new(Code::MALFORMED, message).with("file", CONFIG))
        }
    }
}

/// The path of config.json, including the name of the folder if it has one.
fn path(folder: &Folder) -> String {
    let name = folder.name();
    if name.is_empty() { CONFIG.to_owned() } else { format!("{name}/{CONFIG}") }
}

/// Prefixes of classes that llama.cpp's converter does not support either, with advice.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Whisper", "Convert it with the converter of whisper.cpp, or quantize it to NF4 or FP4"),
    ("Flux", ORIGINAL),
    ("SD3", ORIGINAL),
    ("UNet2D", ORIGINAL),
    ("AutoencoderKL", "It is a VAE, which ComfyUI loads unconverted"),
];
const ORIGINAL: &str = "Open the model in its original layout, the file that ComfyUI loads";
const LLAMA: &str = "Convert it with llama.cpp's convert_hf_to_gguf.py and quantize that GGUF";

fn refused(folder: &Folder, class: &str) -> Error {
    let advice = ELSEWHERE.iter().find(|(start, _)| class.starts_with(start)).map_or(LLAMA, |(_, advice)| advice);
    let message = format!("{}: {class} cannot be converted. {advice}.", path(folder));
    Error::new(Code::UNSUPPORTED, message).with("file", CONFIG).with("architecture", class)
}

/// How to recognize a model that is not in any table or only part of a model: substrings of tensor names, with advice.
struct Look {
    what: &'static str,
    parts: &'static [&'static str],
    advice: &'static str,
}

/// In the order in which they are tried: an adapter also has tensor names of its base model.
const LOOKS: &[Look] = &[
    Look {
        what: "a LoRA adapter",
        parts: &[
            ".lora_down.",
            ".lora_up.",
            ".lora_A.",
            ".lora_B.",
            ".lora.down.",
            ".lora.up.",
            ".hada_w1_",
            ".lokr_w1",
        ],
        advice: "merge it into its base model and convert that, or load it together with the model",
    },
    Look {
        what: "a ControlNet",
        parts: &["control_model.", "controlnet_", "zero_convs.", "input_hint_block."],
        advice: "ComfyUI loads it unconverted",
    },
    Look {
        what: "a text encoder (CLIP)",
        parts: &["text_model.encoder.layers.", "text_model.embeddings.", "resblocks.0.attn."],
        advice: "ComfyUI loads it unconverted",
    },
    Look {
        what: "a text encoder (T5)",
        parts: &["encoder.block.0.layer.0.SelfAttention."],
        advice: "convert its folder with llama.cpp's convert_hf_to_gguf.py and quantize that GGUF",
    },
    Look {
        what: "Qwen-Image",
        parts: &["transformer_blocks.0.img_mod.1."],
        advice: "its architecture is not supported; quantize an existing GGUF of it",
    },
    Look {
        what: "a VAE",
        parts: &[
            "encoder.down.0.",
            "decoder.up.0.",
            "decoder.up_blocks.0.",
            "encoder.down_blocks.0.",
            "decoder.upsamples.0.",
            "encoder.downsamples.0.",
            "decoder.mid.block_1.",
        ],
        advice: "ComfyUI loads it unconverted",
    },
    Look {
        what: "a language model",
        parts: &["layers.0.self_attn.", "encoder.layer.0.attention.", "h.0.attn.", "layers.0.mlp."],
        advice: "its config.json and tokenizer are also needed: open its folder",
    },
];

/// Determines the conversion of a model without config.json.
fn of_tensors(folder: &Folder) -> Result<Kind> {
    if let Some((architecture, prefix)) = diffusion::Architecture::of(folder)? {
        return Ok(Kind::Diffusion(architecture, prefix));
    }
    let names = || folder.tensors().iter().map(|tensor| tensor.name.as_str());
    let found = LOOKS.iter().find_map(|look| {
        let name = names().find(|name| look.parts.iter().any(|part| name.contains(part)))?;
        Some((look, name))
    });
    let plain = "for a GGUF with its tensors under their own names, request a plain container (--plain, plain: true)";
    let (message, name) = match found {
        Some((look, name)) => (
            format!("this looks like {} (tensor '{name}'), which cannot be converted: {}", look.what, look.advice),
            name,
        ),
        None => {
            let name = names().next().unwrap_or_default();
            (format!("there is no config.json, and tensors such as '{name}' do not belong to a known model"), name)
        }
    };
    Err(Error::new(Code::UNSUPPORTED, format!("{message}; {plain}")).with("tensor", name))
}
