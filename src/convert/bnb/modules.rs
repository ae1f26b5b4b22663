//! Selects the tensors of a Hugging Face model that bitsandbytes quantizes: the weights of linear layers, except those
//! that `transformers` skips. The kept tensors and the list in config.json must agree: `transformers` creates a 4-bit
//! layer for every linear layer whose name does not match an entry of the list, and then needs 4-bit weights for it.
//!
//! Source: `get_keys_to_not_convert`, `should_convert_module` and the `_keep_in_fp32_modules` of transformers 5.24 (Apache-2.0).

use crate::container::gguf::TensorType;
use crate::container::safetensors::SafetensorsTensor;
use crate::error::{Code, Error, Result};
use crate::interning::Name;
use crate::json::Value;
use std::collections::{HashMap, HashSet};

/// The dtypes that bitsandbytes dequantizes to; weights of other dtypes are kept.
const FLOATS: &[TensorType] = &[TensorType::F32, TensorType::F16, TensorType::BF16];

/// Modules that a type of model keeps in F32, regardless of its configuration: `_keep_in_fp32_modules`.
const PRECISE: &[(&[&str], &[&str])] = &[
    (&["t5", "mt5", "umt5", "udop", "pop2piano"], &["wo"]),
    (&["blip-2"], &["qformer", "query_tokens"]),
    (&["glm_moe_dsa", "deepseek_v32", "axk2", "mistral_large4", "mistral_large4_text"], &["indexer.weights_proj"]),
    (
        &["deepseek_v4"],
        &[
            "self_attn.compressor.gate_proj",
            "self_attn.compressor.kv_proj",
            "self_attn.compressor.indexer.gate_proj",
            "self_attn.compressor.indexer.kv_proj",
            "self_attn.compressor.indexer.scorer.weights_proj",
        ],
    ),
];

/// Output layers not named lm_head, and the classes that have them, without the suffixes in [`HEADS`].
const OUTPUTS: &[(&str, &str)] = &[
    (
        "cls.predictions.decoder",
        "Bert BigBird Deberta DebertaV2 Ernie FNet LayoutLM MegatronBert MobileBert Mra NomicBert Nystromformer RemBert RoCBert RoFormer SqueezeBert Tapas VisualBert Yoso",
    ),
    (
        "lm_head.decoder",
        "BertGeneration Camembert Data2VecText Esmc Gte IBert JinaEmbeddingsV3 Longformer Luke MPNet Reformer Roberta RobertaPreLayerNorm XLMRoberta XLMRobertaXL Xmod",
    ),
    ("lm_head.out_proj", "T5Gemma T5Gemma2"),
    ("predictions.decoder", "Albert"),
    ("proj_out", "Whisper Moonshine Canary CohereAsr"),
    ("output_projection", "BioGpt TrOCR"),
    ("generator_lm_head", "ConvBert Electra"),
    ("vocab_projector", "DistilBert"),
    ("pred_layer.proj", "Flaubert XLM"),
    ("embed_out", "GPTNeoX GPTNeoXJapanese"),
    ("decoder", "ModernBert ModernBertDecoder"),
    ("head.decoder", "Ultrabert"),
    ("head", "Rwkv"),
    ("lm_loss", "XLNet"),
    ("output", "Git"),
];

/// Suffixes of the names of classes with an output layer, longer ones first.
const HEADS: &[&str] = &[
    "ForConditionalGeneration",
    "ForPreTraining",
    "ForMaskedLM",
    "ForCausalLM",
    "WithLMHeadModel",
    "LMHeadModel",
    "Decoder",
];

/// The outputs of nested models, and of classes with several outputs.
const MORE_OUTPUTS: &[&str] =
    &["proj_out", "embed_out", "logits_dense", "unembedding_projection", "mmm_text_head.decoder", "audio_lm_head"];

/// Heads that are the last module of a model. If they have a bias, that is the last parameter, and they are quantized.
const LAST: &[&str] = &["score", "classifier"];

/// Weights that are stored transposed.
const TRANSPOSED: &[&str] = &[".c_attn.weight", ".c_fc.weight", ".c_proj.weight"];

/// The kind of model according to the configuration.
#[derive(Debug, Default)]
pub struct ModelKind {
    /// `architectures[0]`.
    class: String,
    /// Its `model_type`, and those of nested models.
    types: Vec<String>,
}

impl ModelKind {
    /// Reads the kind of model from its `config.json`.
    pub fn of(config: &Value) -> Self {
        let mut types = Vec::new();
        collect_types(config, 0, &mut types);
        let named = config.get("architectures").and_then(Value::as_list).and_then(|names| names.first());
        ModelKind { class: named.and_then(Value::as_str).unwrap_or_default().to_owned(), types }
    }

    /// The name of the output layer that is skipped for a class. That of CTC models has a bias, which is the last
    /// parameter, so it is quantized.
    fn output(&self) -> Option<&'static str> {
        if self.class.ends_with("ForCTC") {
            return None;
        }
        let stem = HEADS.iter().find_map(|head| self.class.strip_suffix(head));
        let of = |stem: &str| OUTPUTS.iter().find(|(_, classes)| classes.split(' ').any(|class| class == stem));
        Some(stem.and_then(of).map_or("lm_head", |(module, _)| module))
    }
}

fn collect_types(value: &Value, depth: u32, types: &mut Vec<String>) {
    const DEEPEST: u32 = 3;
    if depth > DEEPEST {
        return;
    }
    if let Some(items) = value.as_list() {
        items.iter().for_each(|item| collect_types(item, depth + 1, types));
    }
    for (key, member) in value.as_object().unwrap_or_default() {
        match member.as_str().filter(|_| key == "model_type") {
            Some(kind) => {
                types.push(kind.to_owned());
            }
            None => collect_types(member, depth + 1, types),
        }
    }
}

/// The selection of a model's tensors.
pub struct Choice {
    /// The reason why a tensor is kept, by name; quantized tensors are not included.
    pub kept: HashMap<Name, &'static str>,
    /// The modules in which `transformers` must not expect 4-bit weights.
    pub skipped: Vec<String>,
}

/// Selects the tensors to quantize. `excluded` are names of modules, or parts of them.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for weights that are stored transposed.
pub fn choose(tensors: &[SafetensorsTensor], kind: &ModelKind, excluded: &[String]) -> Result<Choice> {
    let names: HashSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let precise =
        PRECISE.iter().filter(|(types, _)| types.iter().any(|name| kind.types.iter().any(|kind| kind == name)));
    let in_f32: Vec<&str> = precise.flat_map(|(_, modules)| *modules).copied().collect();
    let output = kind.output();
    let mut kept = HashMap::new();
    for tensor in tensors {
        let why = match module_of(tensor) {
            None => Some("not the weight of a linear layer"),
            Some(module) => why_kept(tensor, module, excluded, &in_f32, output, &names),
        };
        if let Some(why) = why {
            kept.insert(tensor.name.clone(), why);
        } else if TRANSPOSED.iter().any(|end| tensor.name.ends_with(end)) {
            let message = format!(
                "tensor '{}' is stored transposed (GPT-2's Conv1D), which is not supported for NF4 and FP4",
                tensor.name
            );
            return Err(Error::new(Code::UNSUPPORTED, message).with("tensor", tensor.name.as_str()));
        }
    }
    let mut skipped = Skipped::default();
    // The output may be tied to the embeddings and have no separate tensor; excluded modules may not exist at all.
    output.iter().for_each(|module| skipped.add(module));
    excluded.iter().for_each(|module| skipped.add(module));
    let modules = tensors.iter().filter_map(|tensor| Some((tensor, module_of(tensor)?)));
    let (stay, rest): (Vec<_>, Vec<_>) = modules.partition(|(tensor, _)| kept.contains_key(&tensor.name));
    stay.iter().for_each(|(_, module)| skipped.add(module));
    // An entry of the list may match more modules than intended: these are kept and added to the list.
    let (mut from, mut rest) = (0, rest);
    while from < skipped.list.len() {
        let added = skipped.list[from..].to_vec();
        from = skipped.list.len();
        rest.retain(|(tensor, module)| {
            let found = added.iter().any(|name| matches(module, name));
            if found {
                kept.insert(tensor.name.clone(), "its name matches that of a skipped module");
                skipped.add(module);
            }
            !found
        });
    }
    Ok(Choice { kept, skipped: skipped.list })
}

/// Names without duplicates, in the order they were added.
#[derive(Default)]
struct Skipped {
    list: Vec<String>,
    known: HashSet<Name>,
}

impl Skipped {
    fn add(&mut self, module: &str) {
        if self.known.insert(module.into()) {
            self.list.push(module.to_owned());
        }
    }
}

fn why_kept(
    tensor: &SafetensorsTensor,
    module: &str,
    excluded: &[String],
    in_f32: &[&str],
    output: Option<&str>,
    names: &HashSet<&str>,
) -> Option<&'static str> {
    let dotted = format!(".{module}.");
    if !FLOATS.contains(&tensor.dtype) {
        return Some("its type");
    }
    if excluded.iter().any(|part| dotted.contains(&format!(".{part}."))) {
        return Some("the recipe excludes it");
    }
    if in_f32.iter().any(|name| matches(module, name)) {
        return Some("transformers keeps it in F32");
    }
    if output.is_some_and(|output| is_output(module, output, names)) {
        return Some("the output decides every token");
    }
    table(&tensor.name, module)
}

/// The module of a two-dimensional weight.
fn module_of(tensor: &SafetensorsTensor) -> Option<&str> {
    tensor.name.strip_suffix(".weight").filter(|_| tensor.shape.len() == 2)
}

fn is_output(module: &str, output: &str, names: &HashSet<&str>) -> bool {
    if module == output || MORE_OUTPUTS.contains(&module) || is_inner_output(module) {
        return true;
    }
    LAST.contains(&module) && !names.contains(format!("{module}.bias").as_str())
}

/// Whether a module is an output: `lm_head`, `lm_heads.3.decoder`, `predictions.decoder` or `output_projection`,
/// anywhere in the model.
fn is_inner_output(module: &str) -> bool {
    if let Some(before) = module.strip_suffix("predictions.decoder") {
        return before.is_empty() || before.ends_with(['.', '_']);
    }
    let mut parts = module.rsplit('.').peekable();
    if parts.peek() == Some(&"output_projection") {
        return true;
    }
    parts.next_if(|part| ["decoder", "out_proj"].contains(part));
    parts.next_if(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    parts.next().is_some_and(|part| ["lm_head", "lm_heads"].contains(&part))
}

/// The reason why a two-dimensional weight does not belong to a linear layer, by its name.
fn table(name: &str, module: &str) -> Option<&'static str> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let lower = module.to_ascii_lowercase();
    let embedding = |part: &str| part.contains("embed") && part.bytes().all(is_word) || ["wte", "wpe"].contains(&part);
    if lower.split('.').any(embedding) || name == "shared.weight" || name.ends_with(".shared.weight") {
        return Some("a table of embeddings");
    }
    if name.contains("relative_attention_bias.") {
        return Some("a table of embeddings");
    }
    let last_word = lower.bytes().rposition(|byte| !is_word(byte)).map_or(0, |at| at + 1);
    if lower.get(last_word..).is_some_and(|word| word.contains("norm")) {
        return Some("a norm");
    }
    // transformers stores experts in a single parameter, which is not a linear layer.
    const EXPERTS: &[&str] = &[".experts.", ".router.", ".mlp.gate.", ".block_sparse_moe.gate."];
    EXPERTS.iter().any(|part| name.contains(part)).then_some("of a mixture of experts")
}

/// Whether `transformers` matches a module with this name: at the start, up to the end of a component, or at the end.
fn matches(module: &str, name: &str) -> bool {
    if module.ends_with(name) {
        return true;
    }
    // transformers treats names as regular expressions; in module names only the dot is a special character.
    let mut rest = module.chars();
    for c in name.chars() {
        match rest.next() {
            Some(found) if found == c || c == '.' => {}
            _ => return false,
        }
    }
    let rest = rest.as_str();
    let consumed = &module[..module.len() - rest.len()];
    consumed.ends_with('.') || rest.is_empty() || rest.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_up_to_a_dot_or_at_the_end() {
        for (module, name, expected) in [
            ("model.layers.1.mlp.up_proj", "model.layers.1", true),
            ("model.layers.10.mlp.up_proj", "model.layers.1", false),
            ("model.layers.1.mlp.up_proj", "up_proj", true),
            ("model.layers.1.mlp.up_proj", "proj", true),
            ("model.layers.1.mlp.up_proj", "mlp", false),
            ("model.layers.1.mlp.up_proj", "model.layers.", true),
            ("modelxlayers.1.mlp", "model.layers", true),
            ("head.decoder", "head", true),
            ("header.decoder", "head", false),
            ("a", "", true),
        ] {
            assert_eq!(matches(module, name), expected, "{module} {name}");
        }
    }

    #[test]
    fn output_layers_are_recognised_at_any_depth() {
        for (module, expected) in [
            ("lm_head", true),
            ("model.lm_heads.12.out_proj", true),
            ("codec.lm_head.decoder", true),
            ("xlm_head", false),
            ("cls.predictions.decoder", true),
            ("my_predictions.decoder", true),
            ("mypredictions.decoder", false),
            ("decoder.output_projection", true),
            ("lm_head.x", false),
            ("lm_heads..decoder", false),
        ] {
            assert_eq!(is_inner_output(module), expected, "{module}");
        }
    }

    #[test]
    fn embeddings_and_norms_are_recognised_by_name() {
        for (module, expected) in [
            ("model.embed_tokens", Some("a table of embeddings")),
            ("model.embed-x", None),
            ("transformer.WTE", Some("a table of embeddings")),
            ("encoder.block.0.relative_attention_bias", Some("a table of embeddings")),
            ("shared", Some("a table of embeddings")),
            ("a.unshared", None),
            ("model.LayerNorm2", Some("a norm")),
            ("norm.x", None),
            ("model.mlp.gate", Some("of a mixture of experts")),
            ("model.experts.1.up", Some("of a mixture of experts")),
            ("model.gate", None),
        ] {
            assert_eq!(table(&format!("{module}.weight"), module), expected, "{module}");
        }
    }
}
