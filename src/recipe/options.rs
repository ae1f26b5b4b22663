//! The options of a conversion, with the names and meanings of `llama-quantize`'s.

use crate::container::gguf::{TensorType, Value};
use crate::error::{Code, Error, Result};
use regex_lite::Regex;
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
    /// Only to see what would be done: needing importance, requantizing and formats that cannot be written are no
    /// errors then, and the plan says which tensors need importance.
    pub dry_run: bool,
    /// The importance matrix's file name, for `quantize.imatrix.file`; without it that key is not written.
    pub imatrix_file: Option<String>,
}

/// A type for tensors of certain names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorTypeRule {
    /// A regular expression that is searched for in the name. It is put in lower case first, as llama-quantize does.
    pub pattern: String,
    /// The type's name, in any case.
    #[serde(rename = "type")]
    pub kind: String,
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

/// A recipe's names and patterns, resolved once.
#[derive(Debug)]
pub(super) struct Options<'a> {
    pub recipe: &'a Recipe,
    pub output_type: Option<TensorType>,
    pub embedding_type: Option<TensorType>,
    pub patterns: Vec<(Regex, TensorType)>,
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
        Ok(Options {
            recipe,
            output_type: named(&recipe.output_tensor_type)?,
            embedding_type: named(&recipe.token_embedding_type)?,
            patterns: recipe.tensor_types.iter().map(compile).collect::<Result<_>>()?,
            overrides: recipe.override_kv.iter().map(|text| KvOverride::parse(text)).collect::<Result<_>>()?,
        })
    }

    /// The type the first pattern that finds the name asks for.
    pub fn pattern_type(&self, name: &str) -> Option<TensorType> {
        self.patterns.iter().find(|(pattern, _)| pattern.is_match(name)).map(|(_, kind)| *kind)
    }
}

fn compile(rule: &TensorTypeRule) -> Result<(Regex, TensorType)> {
    let TensorTypeRule { pattern, kind } = rule;
    let compiled = Regex::new(&pattern.to_ascii_lowercase()).map_err(|error| {
        let message = format!("tensor pattern '{pattern}' is no regular expression: {error}");
        Error::new(Code::ARGUMENT, message).with("pattern", pattern.as_str())
    })?;
    Ok((compiled, TensorType::by_name(kind)?))
}
