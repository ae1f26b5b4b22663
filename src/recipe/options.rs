//! The options of a conversion, with the names and meanings of `llama-quantize`.

use crate::container::gguf::{TensorType, Value};
use crate::error::{Code, Error, Result};
use crate::interning::Name;
use crate::setters::setter;
use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;
use std::collections::HashMap;

/// The options of a conversion. [`Recipe::new`] takes the preset, and each other option has a setter.
///
/// ```
/// use quantpress::recipe::Recipe;
/// let recipe = Recipe::new("Q4_K_M").with_output_tensor_type("Q8_0").with_split_max_size(2_000_000_000);
/// assert_eq!(recipe.output_tensor_type.as_deref(), Some("Q8_0"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Recipe {
    /// The preset: a name in any case ("Q4_K_M") or a `llama_ftype` number ("15"). See
    /// [`Preset::by_name`](super::Preset::by_name).
    pub preset: String,
    /// Quantize every tensor to the preset's default type, without mixing. Rows that do not fit still get a fallback
    /// type.
    pub pure: bool,
    /// Keep the type of `output.weight`.
    pub leave_output_tensor: bool,
    /// The type of `output.weight`, or of tied embeddings used as the output.
    pub output_tensor_type: Option<String>,
    /// The type of the token embeddings.
    pub token_embedding_type: Option<String>,
    /// Types for tensors whose names match a pattern; the first match applies. Only for presets that quantize.
    pub tensor_types: Vec<TensorTypeRule>,
    /// Allow quantizing tensors that are already quantized.
    pub allow_requantize: bool,
    /// Use the importance matrix only for tensors whose names contain one of these strings.
    pub include_weights: Vec<String>,
    /// Do not use the importance matrix for tensors whose names contain one of these strings.
    pub exclude_weights: Vec<String>,
    /// Metadata to set, as "KEY=TYPE:VALUE" with type int, float, bool or str.
    pub override_kv: Vec<String>,
    /// Layers to remove; the following ones are renumbered.
    pub prune_layers: Vec<u32>,
    /// Keep the shards of the input, and with them its order of tensors.
    pub keep_split: bool,
    /// The maximum size of an output file in bytes, not counting the header. A larger tensor gets its own file.
    pub split_max_size: Option<u64>,
    /// Only plan: missing importance, requantizing and formats that cannot be written are not errors then, and the plan
    /// says which tensors need importance.
    pub dry_run: bool,
    /// The file name of the importance matrix, for `quantize.imatrix.file`. By default this key is not written.
    pub imatrix_file: Option<String>,
    /// The pre-tokenizer (`tokenizer.ggml.pre`), for language models in safetensors files that do not determine it.
    pub pre_tokenizer: Option<String>,
    /// For the presets NF4 and FP4: quantize the scales to 8 bits (`bnb_4bit_use_double_quant`).
    pub double_quant: Option<bool>,
    /// For the presets NF4 and FP4: modules to keep, by name or part of a name (`lm_head` is always kept).
    pub exclude_modules: Option<Vec<String>>,
    /// Convert a safetensors model to a plain container: every tensor under its own name, and the architecture `plain`,
    /// which no program runs. By default an unknown kind of model is rejected.
    pub plain: bool,
}

impl Recipe {
    /// A preset with default options: a name in any case ("Q4_K_M") or a `llama_ftype` number ("15").
    pub fn new(preset: impl Into<String>) -> Self {
        Recipe { preset: preset.into(), ..Recipe::default() }
    }

    setter!(with_preset, preset: into String);
    setter!(with_pure, pure: bool);
    setter!(with_leave_output_tensor, leave_output_tensor: bool);
    setter!(with_output_tensor_type, output_tensor_type: some into String);
    setter!(with_token_embedding_type, token_embedding_type: some into String);
    setter!(with_tensor_types, tensor_types: into Vec<TensorTypeRule>);
    setter!(with_allow_requantize, allow_requantize: bool);
    setter!(with_include_weights, include_weights: into Vec<String>);
    setter!(with_exclude_weights, exclude_weights: into Vec<String>);
    setter!(with_override_kv, override_kv: into Vec<String>);
    setter!(with_prune_layers, prune_layers: into Vec<u32>);
    setter!(with_keep_split, keep_split: bool);
    setter!(with_split_max_size, split_max_size: some u64);
    setter!(with_dry_run, dry_run: bool);
    setter!(with_imatrix_file, imatrix_file: some into String);
    setter!(with_pre_tokenizer, pre_tokenizer: some into String);
    setter!(with_double_quant, double_quant: some bool);
    setter!(with_exclude_modules, exclude_modules: some into Vec<String>);
    setter!(with_plain, plain: bool);
}

/// A type for tensors whose names match a pattern.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TensorTypeRule {
    /// A regular expression to search for in the name. It is converted to lower case first, as in llama-quantize,
    /// except after a backslash: `\\D` keeps its meaning.
    pub pattern: String,
    /// The name of the type, in any case.
    #[serde(rename = "type")]
    pub dtype: String,
    /// The reason to state in the plan instead of "a pattern of the recipe".
    #[serde(default)]
    pub why: Option<String>,
}

impl TensorTypeRule {
    /// The type `dtype` for tensors whose names match `pattern`.
    pub fn new(pattern: impl Into<String>, dtype: impl Into<String>) -> Self {
        TensorTypeRule { pattern: pattern.into(), dtype: dtype.into(), why: None }
    }

    setter!(with_why, why: some into String);
}

/// A metadata pair to set.
#[derive(Clone, Debug, PartialEq)]
pub struct KvOverride {
    /// The key.
    pub key: String,
    /// The value.
    pub value: OverrideValue,
}

/// The value of an override; its type determines the type in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum OverrideValue {
    /// Written as u32, with the absolute value.
    Int(i64),
    /// Written as f32.
    Float(f64),
    /// Written as bool.
    Bool(bool),
    /// Written as a string.
    String(String),
}

/// llama.cpp stores override keys and strings in 128 bytes, including the final zero.
pub(super) const MAX_OVERRIDE_BYTES: usize = 127;

/// The maximum number of patterns, more than any recipe needs.
const MAX_TENSOR_TYPES: usize = 65_536;

/// Memory limit for all compiled patterns, because nested counted repetitions can take gigabytes.
const MAX_PATTERN_BYTES: usize = 64 << 20;
/// Memory limits for one pattern, minimum and maximum; a literal name of a hundred letters takes half of the minimum.
const PATTERN_BYTES: [usize; 2] = [8 << 10, 1 << 20];

impl KvOverride {
    /// Parses "KEY=TYPE:VALUE".
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if the syntax is wrong.
    pub fn parse(text: &str) -> Result<KvOverride> {
        let bad = |what: &str| {
            let message =
                format!("metadata override '{text}' {what}; it must be KEY=TYPE:VALUE with int, float, bool or str");
            Error::new(Code::ARGUMENT, message).with("override", text)
        };
        let (key, rest) = text.split_once('=').ok_or_else(|| bad("has no '='"))?;
        if key.is_empty() || key.len() > MAX_OVERRIDE_BYTES {
            return Err(bad("has an empty key or one of more than 127 bytes"));
        }
        let (kind, value) = rest.split_once(':').ok_or_else(|| bad("has no type"))?;
        let value = match kind {
            "int" => OverrideValue::Int(value.parse().map_err(|_| bad("has no integer"))?),
            "float" => OverrideValue::Float(value.parse().map_err(|_| bad("has no number"))?),
            "bool" => OverrideValue::Bool(value.parse().map_err(|_| bad("has neither true nor false as its value"))?),
            "str" if value.len() > MAX_OVERRIDE_BYTES => return Err(bad("has a string of more than 127 bytes")),
            "str" => OverrideValue::String(value.to_owned()),
            _ => return Err(bad("has an unknown type")),
        };
        Ok(KvOverride { key: key.to_owned(), value })
    }
}

impl OverrideValue {
    /// The value to be written.
    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            OverrideValue::Int(value) => Value::U32(value.unsigned_abs() as u32),
            OverrideValue::Float(value) => Value::F32(*value as f32),
            OverrideValue::Bool(value) => Value::Bool(*value),
            OverrideValue::String(text) => Value::String(text.as_bytes()),
        }
    }
}

/// A type for matching tensor names, and the reason.
#[derive(Debug)]
struct Pattern {
    names: Names,
    dtype: TensorType,
    why: Name,
}

/// The names that a pattern matches.
#[derive(Debug)]
enum Names {
    /// One name, as in the patterns of a best mix, which has one for each tensor.
    Only(String),
    All(Regex),
}

/// The patterns of a recipe. Those that match only one name are found by it, so that a recipe with a pattern for each
/// tensor does not compare each name with each pattern.
#[derive(Debug, Default)]
struct Patterns {
    all: Vec<Pattern>,
    /// The index of the first pattern that matches only this name.
    by_name: HashMap<String, usize>,
    /// The indices of the others, in ascending order.
    others: Vec<usize>,
}

impl Patterns {
    fn new(all: Vec<Pattern>) -> Self {
        let (mut by_name, mut others) = (HashMap::new(), Vec::new());
        for (index, pattern) in all.iter().enumerate() {
            match &pattern.names {
                Names::Only(name) => {
                    by_name.entry(name.clone()).or_insert(index);
                }
                Names::All(_) => others.push(index),
            }
        }
        Patterns { all, by_name, others }
    }

    fn first_match(&self, name: &str) -> Option<&Pattern> {
        let only = self.by_name.get(name).copied();
        let earlier = self.others.iter().copied().take_while(|index| only.is_none_or(|only| *index < only));
        let mut matching = earlier.filter(|index| match &self.all[*index].names {
            Names::Only(_) => false,
            Names::All(regex) => regex.is_match(name),
        });
        matching.next().or(only).and_then(|index| self.all.get(index))
    }
}

/// The names and patterns of a recipe, resolved.
#[derive(Debug)]
pub(super) struct Options {
    pub recipe: Recipe,
    pub output_type: Option<TensorType>,
    pub embedding_type: Option<TensorType>,
    patterns: Patterns,
    pub overrides: Vec<KvOverride>,
}

impl Options {
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] for an unknown type, [`Code::ARGUMENT`] for an invalid pattern or override, or if both
    /// including and excluding weights is requested.
    pub fn resolve(recipe: &Recipe) -> Result<Self> {
        if !recipe.include_weights.is_empty() && !recipe.exclude_weights.is_empty() {
            let message = "includeWeights and excludeWeights cannot be used together";
            return Err(Error::new(Code::ARGUMENT, message));
        }
        if recipe.tensor_types.len() > MAX_TENSOR_TYPES {
            let count = recipe.tensor_types.len();
            let message = format!("{count} tensor types are given; the limit is {MAX_TENSOR_TYPES}");
            return Err(Error::new(Code::TOO_LARGE, message).with("count", count));
        }
        let named = |name: &Option<String>| name.as_deref().map(TensorType::by_name).transpose();
        let [least, most] = PATTERN_BYTES;
        let size_limit = (MAX_PATTERN_BYTES / recipe.tensor_types.len().max(1)).clamp(least, most);
        let patterns = recipe.tensor_types.iter().map(|rule| compile(rule, size_limit));
        Ok(Options {
            output_type: named(&recipe.output_tensor_type)?,
            embedding_type: named(&recipe.token_embedding_type)?,
            patterns: Patterns::new(patterns.collect::<Result<_>>()?),
            overrides: recipe.override_kv.iter().map(|text| KvOverride::parse(text)).collect::<Result<_>>()?,
            recipe: recipe.clone(),
        })
    }

    /// The type of the first pattern that matches the name, and the reason.
    pub fn pattern_type(&self, name: &str) -> Option<(TensorType, &Name)> {
        self.patterns.first_match(name).map(|pattern| (pattern.dtype, &pattern.why))
    }

    /// The number of patterns that each name is compared with.
    pub fn compared_patterns(&self) -> usize {
        self.patterns.others.len()
    }
}

fn compile(rule: &TensorTypeRule, size_limit: usize) -> Result<Pattern> {
    let TensorTypeRule { pattern, dtype, why } = rule;
    let lower = lower_case(pattern);
    let names = match only_name(&lower) {
        Some(name) => Names::Only(name),
        None => Names::All(RegexBuilder::new(&lower).size_limit(size_limit).build().map_err(|error| {
            let message = format!("tensor pattern '{pattern}' is not a valid regular expression: {error}");
            Error::new(Code::ARGUMENT, message).with("pattern", pattern.as_str())
        })?),
    };
    let why = Name::from(why.as_deref().unwrap_or("a pattern of the recipe"));
    Ok(Pattern { names, dtype: TensorType::by_name(dtype)?, why })
}

/// The longest name, in bytes, whose pattern is found by name. Compiled it would take less than [`PATTERN_BYTES`], so no
/// limit is evaded.
const MAX_ONLY_NAME: usize = 127;

/// The name that a pattern such as `^blk\.0\.ffn_up\.weight$` matches and no other; `None` for any other pattern.
fn only_name(pattern: &str) -> Option<String> {
    let mut rest = pattern.strip_prefix('^')?.strip_suffix('$')?.chars();
    let mut name = String::new();
    while let Some(c) = rest.next() {
        match c {
            '\\' => name.push(rest.next().filter(|escaped| ESCAPED.contains(*escaped))?),
            _ if ESCAPED.contains(c) => return None,
            _ => name.push(c),
        }
    }
    (name.len() <= MAX_ONLY_NAME).then_some(name)
}

/// The characters with a meaning in patterns, unless they are escaped.
const ESCAPED: &str = r"\.+*?()|[]{}^$";

/// Converts a pattern to lower case, like the names of tensors, without changing its escapes.
fn lower_case(pattern: &str) -> String {
    let mut escaped = false;
    let lower = |c: char| {
        let kept = escaped;
        escaped = c == '\\' && !kept;
        if kept { c } else { c.to_ascii_lowercase() }
    };
    pattern.chars().map(lower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The type by comparing a name with each pattern in turn.
    fn one_by_one(rules: &[TensorTypeRule], name: &str) -> Option<TensorType> {
        let matching = rules.iter().find(|rule| Regex::new(&lower_case(&rule.pattern)).unwrap().is_match(name));
        matching.map(|rule| TensorType::by_name(&rule.dtype).unwrap())
    }

    #[test]
    fn patterns_of_one_name_are_found_by_it_and_the_first_match_applies() {
        let names = ["blk.0.ffn_up.weight", "blk.10.ffn_up.weight", "blk.1.attn_v.weight", "a-b_c.weight", "x", ""];
        let patterns = [
            r"^blk\.1\.attn_v\.weight$",
            r"ffn_up",
            r"^blk\.0\.ffn_up\.weight$",
            r"^blk.0.ffn_up.weight$",
            r"^A-B_C\.weight$",
            r"^x\$",
            r"^x$",
            r"^$",
            r"attn_v",
            r"^a|b$",
            r"^\d$",
        ];
        let types = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "F16"];
        for turn in 0..patterns.len() {
            let rules: Vec<TensorTypeRule> = (0..patterns.len())
                .map(|i| (i + turn) % patterns.len())
                .map(|i| TensorTypeRule { pattern: patterns[i].to_owned(), dtype: types[i].to_owned(), why: None })
                .collect();
            let recipe = Recipe { tensor_types: rules.clone(), ..Recipe::default() };
            let options = Options::resolve(&recipe).unwrap();
            for name in names {
                let found = options.pattern_type(name).map(|(dtype, _)| dtype);
                assert_eq!(found, one_by_one(&rules, name), "{name:?} from {turn}");
            }
        }
    }

    #[test]
    fn a_recipe_with_a_pattern_for_each_tensor_compares_names_with_none() {
        let rule = |i: usize| TensorTypeRule {
            pattern: format!(r"^blk\.{i}\.ffn_up\.weight$"),
            dtype: "Q8_0".to_owned(),
            why: None,
        };
        let tensor_types: Vec<_> = (0..5000).map(rule).collect();
        let options = Options::resolve(&Recipe { tensor_types, ..Recipe::default() }).unwrap();
        assert_eq!(options.compared_patterns(), 0);
        assert!(options.pattern_type("blk.4999.ffn_up.weight").is_some());
        assert!(options.pattern_type("blk.5000.ffn_up.weight").is_none());
    }

    #[test]
    fn a_name_that_is_found_by_its_pattern_is_within_the_memory_limit_of_patterns() {
        let pattern = format!("^{}$", "\\.".repeat(MAX_ONLY_NAME));
        assert!(only_name(&pattern).is_some() && only_name(&pattern.replace('^', "^x")).is_none());
        assert!(RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES[0]).build().is_ok());
    }
}
