//! The class by which transformers reads a tokenizer. It is not always the one that tokenizer_config.json names: of some types
//! of models transformers knows that folders name a wrong one, and takes that of the type.
//!
//! Source: `AutoTokenizer.from_pretrained`, `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS` and `Qwen2Tokenizer` of transformers
//! 5.24 (Apache-2.0).

use super::files::Files;
use super::parameters::Parameters;
use super::tokens::{SETTINGS, settings};
use crate::json::Value;

/// Classes that take tokenizer.json as it is.
const GENERIC: &[&str] = &["PreTrainedTokenizerFast", "TokenizersBackend"];

const QWEN2: &str = "Qwen2Tokenizer";
/// Types of models that have that class where a folder names none.
const QWEN2_TYPES: &[&str] = &["qwen2", "qwen3"];
/// The type that has it whatever a folder names.
const FORCED: &str = "qwen2";

/// Classes that build a tokenizer from its parts: the special tokens they have where a folder states none.
static BUILDERS: &[(&str, &[(&str, &str)])] = &[
    ("LlamaTokenizer", &[]),
    ("CodeLlamaTokenizer", &[]),
    ("BertTokenizer", &[]),
    ("GPT2Tokenizer", &[("bos", END), ("eos", END), ("unk", END)]),
    (QWEN2, &[("eos", END), ("unk", END), ("pad", END)]),
];
const END: &str = "<|endoftext|>";

/// How Qwen2's class cuts text, whatever tokenizer.json says, in the words of `pre.rs`.
const QWEN2_STEPS: &str = r"Split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel";

/// A class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class<'a> {
    /// As it is named, without `Fast`; `None` where nothing names it.
    name: Option<&'a str>,
    defaults: &'static [(&'static str, &'static str)],
    /// It is one of those that take tokenizer.json as it is.
    pub generic: bool,
    /// It is one whose ways are known, or none is named.
    pub known: bool,
}

impl<'a> Class<'a> {
    pub fn of(files: &'a Files, parameters: &Parameters) -> Class<'a> {
        let kind = parameters.architecture.model_type;
        let stated = settings(files, "tokenizer_class").and_then(Value::as_str);
        let stated = stated.or_else(|| files.json("config.json")?.get("tokenizer_class")?.as_str());
        // A class of the folder's own code is not taken, and then neither is another one forced.
        let own = settings(files, "auto_map").is_some_and(|map| *map != Value::Null);
        let name = match stated.map(|name| name.trim_end_matches("Fast")) {
            _ if kind == FORCED && !own => Some(QWEN2),
            None if QWEN2_TYPES.contains(&kind) => Some(QWEN2),
            named => named,
        };
        let generic = stated.is_some_and(|stated| GENERIC.contains(&stated)) && name != Some(QWEN2);
        let builder = BUILDERS.iter().find(|(known, _)| name == Some(*known));
        let known = generic || builder.is_some() || name.is_none();
        Class { name, defaults: builder.map_or(&[], |(_, defaults)| *defaults), generic, known }
    }

    /// What it is called, for people.
    pub fn name(&self) -> &str {
        self.name.unwrap_or_default()
    }

    /// The steps by which it cuts text, if they are its own and not those of tokenizer.json.
    pub fn steps(&self) -> Option<&'static str> {
        (self.name == Some(QWEN2)).then_some(QWEN2_STEPS)
    }

    /// Whether it decodes bytes whatever tokenizer.json says.
    pub fn is_byte_level(&self) -> bool {
        self.name == Some(QWEN2)
    }

    /// The special token of a kind of which no file says anything, not even that there is none.
    pub fn default(&self, files: &Files, kind: &str) -> Option<&'static str> {
        let key = format!("{kind}_token");
        let stated = [SETTINGS, "special_tokens_map.json"].iter().any(|file| {
            let value = files.json(file).and_then(|json| json.get(&key));
            value.is_some()
        });
        let default = self.defaults.iter().find(|(known, _)| *known == kind)?;
        (!stated).then_some(default.1)
    }
}
