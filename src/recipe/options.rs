//! The options of a conversion, with the names and meanings of `llama-quantize`'s.

use crate::container::gguf::{TensorType, Value};
use crate::error::{Code, Error, Result};
use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;

/// What to make of a model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Recipe {
    /// The preset: a name in any case ("Q4_K_M"), or a `llama_ftype` number ("15"). See [`Preset::by_name`](super::Preset::by_name).
    pub preset: String,
    /// Every quantized tensor gets the preset's default type: no mixing rules, though rows that do not fit still fall back.
    pub pure: bool,
    /// `output.weight` keeps its type.
    pub leave_output_tensor: bool,
    /// The type of `output.weight`, and of tied embeddings that stand in for it.
    pub output_tensor_type: Option<String>,
    /// The type of the token embeddings.
    pub token_embedding_type: Option<String>,
    /// Types for the tensors whose names a pattern finds; the first that does decides. Only for quantizing presets.
    pub tensor_types: Vec<TensorTypeRule>,
    /// Tensors that are quantized already may be quantized again.
    pub allow_requantize: bool,
    /// Use the importance matrix only for tensors whose names contain one of these.
    pub include_weights: Vec<String>,
    /// Do not use the importance matrix for tensors whose names contain one of these.
    pub exclude_weights: Vec<String>,
    /// Metadata to set, each "KEY=TYPE:VALUE" with a type of int, float, bool or str.
    pub override_kv: Vec<String>,
    /// Layers to leave out; those after them are renumbered.
    pub prune_layers: Vec<u32>,
    /// Keep the input's shards, and with them its order of tensors.
    pub keep_split: bool,
    /// Write files of so many bytes at most, headers not counted; a larger tensor gets a file of its own.
    pub split_max_size: Option<u64>,
    /// Only to see what would be done: needing importance, requantizing and formats that cannot be written are no
    /// errors then, and the plan says which tensors need importance.
    pub dry_run: bool,
    /// The importance matrix's file name, for `quantize.imatrix.file`; without it that key is not written.
    pub imatrix_file: Option<String>,
    /// What GGUF calls the way a tokenizer cuts text (`tokenizer.ggml.pre`): only for language models from safetensors whose
    /// files do not tell.
    pub pre_tokenizer: Option<String>,
    /// The presets NF4 and FP4: the scales in 8 bits, as `bnb_4bit_use_double_quant` has it.
    pub double_quant: Option<bool>,
    /// The presets NF4 and FP4: modules that stay as they are, by their names or parts of these (`lm_head` does in any case).
    pub exclude_modules: Option<Vec<String>>,
    /// Make a plain container of a safetensors model: every tensor under its own name, and the architecture `plain`, which
    /// no program runs. Without it a model of an unknown kind is refused.
    pub plain: bool,
}

/// A type for tensors of certain names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorTypeRule {
    /// A regular expression that is searched for in the name. It is put in lower case first, as llama-quantize does, but for
    /// what a backslash stands before: `\\D` stays what it means.
    pub pattern: String,
    /// The type's name, in any case.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason to state for it in the plan, in place of "a pattern of the recipe".
    #[serde(default)]
    pub why: Option<String>,
}

/// One metadata pair to set.
#[derive(Clone, Debug, PartialEq)]
pub struct KvOverride {
    /// The key.
    pub key: String,
    /// The value.
    pub value: OverrideValue,
}

/// The value of an override; its type decides the type in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum OverrideValue {
    /// Written as the u32 of its magnitude.
    Int(i64),
    /// Written as f32.
    Float(f64),
    /// Written as bool.
    Bool(bool),
    /// Written as a string.
    String(String),
}

/// llama.cpp keeps override keys and texts in 128 bytes, the last of them zero.
pub(super) const MAX_OVERRIDE_BYTES: usize = 127;

/// Patterns, so many that no recipe needs more.
const MAX_TENSOR_TYPES: usize = 65_536;

/// Bytes that all patterns may take when they are compiled: counted repetitions in each other make gigabytes of a line.
const MAX_PATTERN_BYTES: usize = 64 << 20;
/// Bytes that one pattern may take, however few there are; that of a name of a hundred letters takes half of the least.
const PATTERN_BYTES: [usize; 2] = [8 << 10, 1 << 20];

impl KvOverride {
    /// Reads "KEY=TYPE:VALUE".
    ///
    /// # Errors
    /// [`Code::ARGUMENT`].
    pub fn parse(text: &str) -> Result<KvOverride> {
        let bad = |what: &str| {
            let message =
                format!("metadata override '{text}' {what}; it must be KEY=TYPE:VALUE with int, float, bool or str");
            Error::new(Code::ARGUMENT, message).with("override", text)
        };
        let (key, rest) = text.split_once('=').ok_or_else(|| bad("has no '='"))?;
        if key.is_empty() || key.len() > MAX_OVERRIDE_BYTES {
            return Err(bad("has a key of no bytes or more than 127"));
        }
        let (kind, value) = rest.split_once(':').ok_or_else(|| bad("has no type"))?;
        let value = match kind {
            "int" => OverrideValue::Int(value.parse().map_err(|_| bad("has no integer"))?),
            "float" => OverrideValue::Float(value.parse().map_err(|_| bad("has no number"))?),
            "bool" => OverrideValue::Bool(value.parse().map_err(|_| bad("has neither true nor false"))?),
            "str" if value.len() > MAX_OVERRIDE_BYTES => return Err(bad("has a text of more than 127 bytes")),
            "str" => OverrideValue::String(value.to_owned()),
            _ => return Err(bad("has an unknown type")),
        };
        Ok(KvOverride { key: key.to_owned(), value })
    }
}

impl OverrideValue {
    /// The value as it is written.
    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            OverrideValue::Int(value) => Value::U32(value.unsigned_abs() as u32),
            OverrideValue::Float(value) => Value::F32(*value as f32),
            OverrideValue::Bool(value) => Value::Bool(*value),
            OverrideValue::String(text) => Value::String(text.as_bytes()),
        }
    }
}

/// A type for tensors of certain names, and the reason.
#[derive(Debug)]
struct Pattern<'a> {
    regex: Regex,
    kind: TensorType,
    why: &'a str,
}

/// A recipe's names and patterns, resolved once.
#[derive(Debug)]
pub(super) struct Options<'a> {
    pub recipe: &'a Recipe,
    pub output_type: Option<TensorType>,
    pub embedding_type: Option<TensorType>,
    patterns: Vec<Pattern<'a>>,
    pub overrides: Vec<KvOverride>,
}

impl<'a> Options<'a> {
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] for a type's name, [`Code::ARGUMENT`] for a pattern or an override that cannot be read and
    /// for including and excluding weights at once.
    pub fn resolve(recipe: &'a Recipe) -> Result<Self> {
        if !recipe.include_weights.is_empty() && !recipe.exclude_weights.is_empty() {
            let message = "includeWeights and excludeWeights cannot be used together";
            return Err(Error::new(Code::ARGUMENT, message));
        }
        if recipe.tensor_types.len() > MAX_TENSOR_TYPES {
            let count = recipe.tensor_types.len();
            let message = format!("{count} tensor types are given, and {MAX_TENSOR_TYPES} is the limit");
            return Err(Error::new(Code::TOO_LARGE, message).with("count", count));
        }
        let named = |name: &Option<String>| name.as_deref().map(TensorType::by_name).transpose();
        let [least, most] = PATTERN_BYTES;
        let size_limit = (MAX_PATTERN_BYTES / recipe.tensor_types.len().max(1)).clamp(least, most);
        Ok(Options {
            recipe,
            output_type: named(&recipe.output_tensor_type)?,
            embedding_type: named(&recipe.token_embedding_type)?,
            patterns: recipe.tensor_types.iter().map(|rule| compile(rule, size_limit)).collect::<Result<_>>()?,
            overrides: recipe.override_kv.iter().map(|text| KvOverride::parse(text)).collect::<Result<_>>()?,
        })
    }

    /// The type the first pattern that finds the name asks for, and why.
    pub fn pattern_type(&self, name: &str) -> Option<(TensorType, &'a str)> {
        self.patterns.iter().find(|pattern| pattern.regex.is_match(name)).map(|pattern| (pattern.kind, pattern.why))
    }
}

fn compile(rule: &TensorTypeRule, size_limit: usize) -> Result<Pattern<'_>> {
    let TensorTypeRule { pattern, kind, why } = rule;
    let regex = RegexBuilder::new(&lower_case(pattern)).size_limit(size_limit).build().map_err(|error| {
        let message = format!("tensor pattern '{pattern}' is no regular expression: {error}");
        Error::new(Code::ARGUMENT, message).with("pattern", pattern.as_str())
    })?;
    let why = why.as_deref().unwrap_or("a pattern of the recipe");
    Ok(Pattern { regex, kind: TensorType::by_name(kind)?, why })
}

/// A pattern in lower case, as the names of tensors are, without changing what its escapes mean.
fn lower_case(pattern: &str) -> String {
    let mut escaped = false;
    let lower = |c: char| {
        let kept = escaped;
        escaped = c == '\\' && !kept;
        if kept { c } else { c.to_ascii_lowercase() }
    };
    pattern.chars().map(lower).collect()
}
