//! The files of a tokenizer: their names, keys and values, as all modules here read them.

use super::files::Files;
use crate::json::Value;

pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const SETTINGS: &str = "tokenizer_config.json";

/// Maximum number of tokens of a vocabulary. The largest known ones have 260 000.
pub(super) const MAX_TOKENS: u64 = 1 << 22;

/// llama.cpp's token types.
pub(super) const NORMAL: i32 = 1;
pub(super) const CONTROL: i32 = 3;
pub(super) const USER_DEFINED: i32 = 4;
pub(super) const UNUSED: i32 = 5;

/// A key of tokenizer_config.json.
pub(super) fn settings<'a>(files: &'a Files, key: &str) -> Option<&'a Value> {
    files.json(SETTINGS)?.get(key)
}

/// The id of a token; added tokens take precedence over the vocabulary.
pub(super) fn id_of(tokenizer: &Value, text: &str) -> Option<u64> {
    let added = tokenizer.get("added_tokens").and_then(Value::as_list).unwrap_or(&[]);
    let added = added.iter().find(|token| token.get("content").and_then(Value::as_str) == Some(text));
    let id = added.map_or_else(|| tokenizer.get("model")?.get("vocab")?.get(text), |token| token.get("id"));
    id.and_then(Value::as_u64)
}

/// The text of a special token, which is a string or an object with one.
pub(super) fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// Tokens that should be special but are not marked as such in some tokenizers.
pub(super) fn looks_special(text: &str) -> bool {
    const BETWEEN: &[(&str, &str)] = &[("<|", "|>"), ("<\u{ff5c}", "\u{ff5c}>"), ("<unused", ">")];
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(&text)
        || BETWEEN.iter().any(|(start, end)| text.starts_with(start) && text.ends_with(end))
}
