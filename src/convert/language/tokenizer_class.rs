//! The class with which transformers reads a tokenizer. It is not always the one in tokenizer_config.json: for some
//! model types transformers knows that folders name a wrong class, and uses that of the type.
//!
//! Source: `AutoTokenizer.from_pretrained`, `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS` and `Qwen2Tokenizer` of transformers
//! 5.24 (Apache-2.0).

use super::files::Files;
use super::hparams::HParams;
use super::tokenizer::{SETTINGS, content, settings};
use crate::json::Value;

/// Classes that use tokenizer.json as it is.
const GENERIC: &[&str] = &["PreTrainedTokenizerFast", "TokenizersBackend"];

const QWEN2: &str = "Qwen2Tokenizer";
/// Model types with that class if the folder does not name one.
const QWEN2_TYPES: &[&str] = &["qwen2", "qwen3"];
/// The model type that always has that class.
const FORCED: &str = "qwen2";

/// Classes that build a tokenizer from its parts, with the special tokens they use if the folder states none.
static BUILDERS: &[(&str, &[(&str, &str)])] = &[
    ("LlamaTokenizer", &[]),
    ("CodeLlamaTokenizer", &[]),
    ("BertTokenizer", &[]),
    ("GPT2Tokenizer", &[("bos", END), ("eos", END), ("unk", END)]),
    (QWEN2, &[("eos", END), ("unk", END), ("pad", END)]),
];
const END: &str = "<|endoftext|>";

/// The pre-tokenizer of Qwen2's class, which replaces that of tokenizer.json, in the notation of `pre_tokenizer.rs`.
const QWEN2_STEPS: &str = r"Split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel";

/// A tokenizer class.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenizerClass<'a> {
    /// The name without `Fast`; `None` if no file names it.
    name: Option<&'a str>,
    defaults: &'static [(&'static str, &'static str)],
    /// Whether the class uses tokenizer.json as it is.
    pub generic: bool,
    /// Whether the behaviour of the class is known, or no class is named.
    pub known: bool,
}

impl<'a> TokenizerClass<'a> {
    pub fn of(files: &'a Files, hparams: &HParams) -> TokenizerClass<'a> {
        let kind = hparams.architecture.model_type;
        let stated = settings(files, "tokenizer_class").and_then(Value::as_str);
        let stated = stated.or_else(|| files.json("config.json")?.get("tokenizer_class")?.as_str());
        // A class implemented by the folder's own code is not used, and then no other class is forced either.
        let own = settings(files, "auto_map").is_some_and(|map| *map != Value::Null);
        let name = match stated.map(|name| name.trim_end_matches("Fast")) {
            _ if kind == FORCED && !own => Some(QWEN2),
            None if QWEN2_TYPES.contains(&kind) => Some(QWEN2),
            named => named,
        };
        let generic = stated.is_some_and(|stated| GENERIC.contains(&stated)) && name != Some(QWEN2);
        let builder = BUILDERS.iter().find(|(known, _)| name == Some(*known));
        let known = generic || builder.is_some() || name.is_none();
        TokenizerClass { name, defaults: builder.map_or(&[], |(_, defaults)| *defaults), generic, known }
    }

    /// The name for error messages.
    pub fn name(&self) -> &str {
        self.name.unwrap_or_default()
    }

    /// The steps of the pre-tokenizer, if the class replaces that of tokenizer.json.
    pub fn steps(&self) -> Option<&'static str> {
        (self.name == Some(QWEN2)).then_some(QWEN2_STEPS)
    }

    /// Whether it decodes bytes regardless of tokenizer.json.
    pub fn is_byte_level(&self) -> bool {
        self.name == Some(QWEN2)
    }

    /// The class's default for a special token if no file mentions it, not even as null.
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

/// The tokens that have a role. The padding token may be named where padding is configured, and a class may have a
/// default.
pub(super) fn named<'a>(files: &'a Files, tokenizer: &'a Value, class: Option<TokenizerClass>) -> Vec<&'a str> {
    const NAMES: &[&str] = &["bos", "eos", "unk", "sep", "pad", "cls", "mask"];
    let stated = |name: &str| settings(files, &format!("{name}_token")).and_then(content);
    let padding = || tokenizer.get("padding")?.get("pad_token")?.as_str();
    let own = |name: &str| class.and_then(|class| class.default(files, name));
    let found =
        NAMES.iter().map(|name| stated(name).or_else(|| own(name)).or_else(|| padding().filter(|_| *name == "pad")));
    found.flatten().collect()
}
