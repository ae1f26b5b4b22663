//! The pre-tokenizer, which splits text before merging. llama.cpp and GGUF files identify pre-tokenizers by name,
//! tokenizer.json describes them in steps. The script finds the name by hashing the tokens of a text; here the steps
//! themselves are looked up.

use super::files::bad;
use super::tokenizer::TOKENIZER;
use crate::error::{Code, Result};
use crate::json::Value;
use std::fmt::Write;

/// A known pre-tokenizer.
struct PreTokenizer {
    name: &'static str,
    /// The steps in the notation of [`steps`].
    steps: &'static str,
    first: FirstToken,
}

/// The token that the template puts before a text. It is among the tokens that the script hashes, which gives two names
/// to the same steps.
enum FirstToken {
    /// Any token, or none.
    Any,
    /// No token.
    Absent,
    Is(&'static str),
}

static PRE_TOKENIZERS: &[PreTokenizer] = &[
    PreTokenizer { name: "gpt-2", steps: "ByteLevel+regex", first: FirstToken::Any },
    PreTokenizer { name: "smollm", steps: "Digits+single ByteLevel+regex", first: FirstToken::Any },
    // The hash of Llama 3's vocabulary without its first token. (Both hashes were computed from the script's text and
    // the vocabulary of llama3-tokenizer-js 1.2.0.)
    PreTokenizer {
        name: "smaug-bpe",
        steps: r"Split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel",
        first: FirstToken::Absent,
    },
    PreTokenizer {
        name: "llama-bpe",
        steps: r"Split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel",
        first: FirstToken::Any,
    },
    PreTokenizer {
        name: "deepseek-r1-qwen",
        steps: r"Split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel",
        first: FirstToken::Is("<\u{ff5c}begin\u{2581}of\u{2581}sentence\u{ff5c}>"),
    },
    PreTokenizer {
        name: "qwen2",
        steps: r"Split((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel",
        first: FirstToken::Any,
    },
    PreTokenizer {
        name: "tekken",
        steps: r"Split([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+) ByteLevel",
        first: FirstToken::Any,
    },
    // The script's name for all vocabularies of bert-base-uncased; WordPiece splits text the same way whatever the
    // name.
    PreTokenizer { name: "jina-v2-en", steps: "BertPreTokenizer", first: FirstToken::Any },
];

/// The GGUF name of the pre-tokenizer. `given` is the caller's choice if the files do not determine it; `own` are the
/// steps of a tokenizer class that replaces those of tokenizer.json.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for steps without a known name.
pub(super) fn name(tokenizer: &Value, own: Option<&str>, given: Option<&str>) -> Result<String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let mut found = own.unwrap_or_default().to_owned();
    if let Some(step) = tokenizer.get("pre_tokenizer").filter(|_| own.is_none()) {
        steps(step, &mut found, 0);
    }
    let first = first_token(tokenizer);
    let known = PRE_TOKENIZERS.iter().filter(|known| known.steps == found).find(|known| match known.first {
        FirstToken::Any => true,
        FirstToken::Absent => first.is_none(),
        FirstToken::Is(token) => first == Some(token),
    });
    known.map(|known| known.name.to_owned()).ok_or_else(|| {
        let names: Vec<_> = PRE_TOKENIZERS.iter().map(|known| known.name).collect();
        let message = format!(
            "its pre_tokenizer ('{found}') is not one of the known ones ({}); specify its name (preTokenizer)",
            names.join(", ")
        );
        bad(TOKENIZER, Code::UNSUPPORTED, message)
    })
}

/// Writes the steps in one line.
fn steps(step: &Value, out: &mut String, depth: u32) {
    let kind = step.get("type").and_then(Value::as_str).unwrap_or("none");
    let flag = |name: &str, default: bool| step.get(name).and_then(Value::as_bool).unwrap_or(default);
    if !out.is_empty() {
        out.push(' ');
    }
    match kind {
        "Sequence" if depth < 4 => {
            for part in step.get("pretokenizers").and_then(Value::as_list).unwrap_or(&[]) {
                steps(part, out, depth.saturating_add(1));
            }
        }
        "Split" => {
            let pattern = step.get("pattern");
            let regex = pattern.and_then(|pattern| pattern.get("Regex")).and_then(Value::as_str);
            let isolated = step.get("behavior").and_then(Value::as_str) == Some("Isolated") && !flag("invert", false);
            let _ = write!(out, "Split{}({})", if isolated { "" } else { "+otherwise" }, regex.unwrap_or("a text"));
        }
        "ByteLevel" => {
            out.push_str(kind);
            for (name, default, said) in [("add_prefix_space", true, "+space"), ("use_regex", true, "+regex")] {
                out.push_str(if flag(name, default) { said } else { "" });
            }
        }
        "Digits" => {
            let _ = write!(out, "{kind}{}", if flag("individual_digits", false) { "+single" } else { "" });
        }
        _ => out.push_str(kind),
    }
    let trimmed = out.trim_end().len();
    out.truncate(trimmed);
}

/// The token that the template puts before every text.
fn first_token(tokenizer: &Value) -> Option<&str> {
    let processor = tokenizer.get("post_processor")?;
    let several = processor.get("processors").and_then(Value::as_list).unwrap_or(std::slice::from_ref(processor));
    several
        .iter()
        .find_map(|processor| processor.get("single")?.as_list()?.first()?.get("SpecialToken")?.get("id")?.as_str())
}
