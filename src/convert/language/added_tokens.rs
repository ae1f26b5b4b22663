//! Checks that the files that add tokens to a vocabulary agree. transformers, which the script uses to read them,
//! merges them in ways that depend on the tokenizer's class and on its own version. Here tokenizer.json is
//! authoritative, and a model is rejected if another file adds to it or contradicts it.

use super::files::{Files, bad};
use super::tokenizer::{SETTINGS, TOKENIZER, content, settings};
use super::tokenizer_class::TokenizerClass;
use crate::error::{Code, Result};
use crate::json::Value;
use std::collections::HashMap;

const MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// An added token: its text, its id, and whether it is special and normalized.
type Added<'a> = (&'a str, Option<u64>, bool, bool);

fn added<'a>(token: &'a Value, id: Option<u64>) -> Option<Added<'a>> {
    let flag = |name: &str| token.get(name) == Some(&Value::Bool(true));
    Some((token.get("content")?.as_str()?, id, flag("special"), flag("normalized")))
}

/// Rejects files that disagree.
///
/// # Errors
/// [`Code::UNSUPPORTED`] with the file that disagrees.
pub(super) fn check(files: &Files, tokenizer: &Value, class: TokenizerClass) -> Result<()> {
    let refuse = |file: &str, message: String| Err(bad(file, Code::UNSUPPORTED, message));
    if !class.known {
        return refuse(SETTINGS, format!("tokenizer_class {} is not supported", class.name()));
    }
    if settings(files, "split_special_tokens") == Some(&Value::Bool(true)) {
        return refuse(SETTINGS, "split_special_tokens is not supported".to_owned());
    }
    let list = tokenizer.get("added_tokens").and_then(Value::as_list).unwrap_or(&[]);
    let list = list.iter().map(|token| added(token, token.get("id").and_then(Value::as_u64)));
    let Some(list) = list.collect::<Option<Vec<Added>>>() else {
        return Ok(()); // reported elsewhere
    };
    let model = tokenizer.get("model");
    let vocabulary = model.and_then(|model| model.get("vocab")).and_then(Value::as_object).unwrap_or(&[]);
    check_numbers(&list, vocabulary)?;
    let by_text: HashMap<&str, usize> = list.iter().enumerate().map(|(index, token)| (token.0, index)).collect();
    let known = |text: &str| by_text.get(text).and_then(|index| list.get(*index));

    let decoder = settings(files, "added_tokens_decoder").and_then(Value::as_object);
    if let Some(decoder) = decoder.filter(|decoder| !decoder.is_empty() || !class.generic) {
        let odd = decoder.iter().find(|(id, token)| {
            let token = added(token, id.parse().ok());
            token.is_none_or(|token| known(token.0) != Some(&token))
        });
        if odd.is_some() || decoder.len() != by_text.len() {
            let id = odd.map_or("none", |(id, _)| id);
            let message = format!(
                "added_tokens_decoder has {} tokens, but tokenizer.json adds {}; the first difference is at id {id}",
                decoder.len(),
                by_text.len()
            );
            return refuse(SETTINGS, message);
        }
    }
    for (text, id) in files.json(ADDED).and_then(Value::as_object).unwrap_or(&[]) {
        if known(text).is_none_or(|known| known.1 != id.as_u64()) {
            return refuse(ADDED, format!("token '{text}' does not have this id in tokenizer.json"));
        }
    }
    let special = |text: &str| known(text).is_some_and(|known| known.2);
    const MORE: &[&str] = &["additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens"];
    let stated = MORE.iter().filter_map(|key| Some((SETTINGS, settings(files, key)?)));
    for (file, stated) in stated.chain(files.json(MAP).map(|map| (MAP, map))) {
        if let Some(text) = texts(stated, 0).into_iter().find(|text| !special(text)) {
            return refuse(file, format!("token '{text}' is not a special token in tokenizer.json"));
        }
    }
    Ok(())
}

/// Checks that added tokens have the ids that follow the vocabulary; the script assigns these whatever the file states.
fn check_numbers(list: &[Added], vocabulary: &[(String, Value)]) -> Result<()> {
    if vocabulary.is_empty() {
        return Ok(()); // reported elsewhere
    }
    let places: HashMap<&str, usize> =
        vocabulary.iter().enumerate().map(|(index, (text, _))| (text.as_str(), index)).collect();
    let mut next = vocabulary.len() as u64;
    for (text, id, ..) in list {
        let given = match places.get(text).and_then(|index| vocabulary.get(*index)) {
            Some((_, id)) => id.as_u64(),
            None => Some(next),
        };
        if *id != given {
            let number = |id: Option<u64>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
            let message = format!("added token '{text}' has id {}, but would get {}", number(*id), number(given));
            return Err(bad(TOKENIZER, Code::UNSUPPORTED, message));
        }
        next = next.max(id.map_or(0, |id| id.saturating_add(1)));
    }
    Ok(())
}

/// The token texts in a string, a token, or a list or object of them.
fn texts(value: &Value, depth: u32) -> Vec<&str> {
    match (content(value), value) {
        (Some(text), _) => vec![text],
        (None, Value::List(items)) if depth < 2 => items.iter().flat_map(|item| texts(item, depth + 1)).collect(),
        (None, Value::Object(members)) if depth < 2 => {
            members.iter().flat_map(|(_, member)| texts(member, depth + 1)).collect()
        }
        _ => Vec::new(),
    }
}
