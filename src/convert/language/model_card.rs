//! The model card: the YAML between two `---` lines at the beginning of README.md. Parses the subset of YAML that cards
//! use.

use super::files::bad;
use crate::error::{Code, Result};

const FILE: &str = "README.md";
/// Line terminators in Python.
const LINE_ENDS: &[char] =
    &['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
/// Words that YAML does not treat as strings.
const WORDS: &[&str] = &["yes", "no", "true", "false", "on", "off"];

/// The value of a key.
#[derive(Clone, Debug)]
enum Value {
    /// A string scalar, unquoted; `None` for null.
    Text(Option<String>),
    /// A list of scalars.
    List(Vec<String>),
    /// A boolean, number or date, and whether it is true in Python: lists ignore that, while text values are only
    /// written if it is true.
    Typed(bool),
    /// Any other value: an error, but only when it is used.
    Other,
}

/// A parsed card.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelCard(Vec<(String, Value)>);

impl ModelCard {
    /// Parses the beginning of README.md. Without `---` lines the card is empty.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a line that is not a key, a list item or part of a nested value.
    pub fn parse(text: &str) -> Result<ModelCard> {
        let mut lines = text.split(LINE_ENDS);
        if lines.next() != Some("---") {
            return Ok(ModelCard::default());
        }
        let mut card = ModelCard::default();
        // Collects the nested lines of a key.
        for line in lines.take_while(|line| *line != "---") {
            let line = &line.replace('\t', "  ");
            let bare = line.trim_start();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            let item = bare.strip_prefix("- ").or((bare == "-").then_some(""));
            match (card.0.last_mut(), item) {
                (Some((_, value)), Some(item)) => add(value, item),
                (Some((_, value)), None) if bare.len() < line.len() => *value = Value::Other,
                _ => {
                    let pair = line.split_once(':').filter(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
                    let Some((key, rest)) = pair.filter(|_| bare.len() == line.len()) else {
                        let message = format!("the line '{line}' of its model card cannot be parsed; omit the file");
                        return Err(bad(FILE, Code::UNSUPPORTED, message));
                    };
                    card.0.push((key.trim_end().trim_matches(['"', '\'']).to_owned(), scalar_or_list(rest)));
                }
            }
        }
        Ok(card)
    }

    /// Whether the card has a key.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    fn value(&self, key: &str) -> Result<Option<&Value>> {
        match self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value) {
            Some(Value::Other) => {
                let message =
                    format!("'{key}' of its model card is neither a string nor a list of strings; omit the file");
                Err(bad(FILE, Code::UNSUPPORTED, message))
            }
            found => Ok(found),
        }
    }

    /// The value of a key as text.
    pub fn text(&self, key: &str) -> Result<Option<String>> {
        match self.value(key)? {
            Some(Value::List(_)) => {
                Err(bad(FILE, Code::UNSUPPORTED, format!("'{key}' of its model card is a list, not a string")))
            }
            // The script omits values that are false in Python, and fails for others.
            Some(Value::Typed(false)) => Ok(Some(String::new())),
            Some(Value::Typed(true)) => {
                let message =
                    format!("'{key}' of its model card is a boolean, a number or a date, not a string; quote it");
                Err(bad(FILE, Code::UNSUPPORTED, message))
            }
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => Ok(None),
        }
    }

    /// The value of a key as text; lists are joined with commas.
    pub fn joined(&self, key: &str) -> Result<Option<String>> {
        match self.value(key)? {
            Some(Value::List(items)) => Ok(Some(items.join(","))),
            _ => self.text(key),
        }
    }

    /// The value of a key as a list; a text becomes its only item.
    pub fn list(&self, key: &str) -> Result<Vec<String>> {
        Ok(match self.value(key)? {
            Some(Value::List(items)) => items.clone(),
            Some(Value::Text(text)) => text.clone().into_iter().collect(),
            _ => Vec::new(),
        })
    }
}

/// Adds an item to a list. "no" is a string there, because the script treats it as the language code.
fn add(value: &mut Value, item: &str) {
    let plain = if item == "no" { Value::Text(Some(item.to_owned())) } else { scalar(item) };
    match (value, plain) {
        (Value::List(items), Value::Text(Some(text))) => items.push(text),
        (value @ Value::Text(None), Value::Text(Some(text))) => *value = Value::List(vec![text]),
        (value, _) => *value = Value::Other,
    }
}

fn scalar_or_list(text: &str) -> Value {
    let text = without_comment(text.trim());
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| match scalar(item) {
            Value::Text(text) => text,
            _ => None,
        });
        return items.collect::<Option<_>>().map_or(Value::Other, Value::List);
    }
    scalar(text)
}

/// Parses a scalar without its quotes.
fn scalar(text: &str) -> Value {
    let text = without_comment(text.trim());
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let inner = text.get(1..).and_then(|rest| rest.strip_suffix(quote));
        let plain = inner.filter(|inner| !inner.contains(['\\', quote]));
        return plain.map_or(Value::Other, |inner| Value::Text(Some(inner.to_owned())));
    }
    if ["", "~", "null", "Null", "NULL"].contains(&text) {
        return Value::Text(None);
    }
    let nested = text.contains(": ")
        || text.ends_with(':')
        || text.starts_with("- ")
        || ["-", "=", "<<"].contains(&text)
        || text.starts_with(['{', '[', '|', '>', '&', '*', '!', '%', '@', '`']);
    match nested {
        true => Value::Other,
        false if is_typed(text) => Value::Typed(is_true(text)),
        false => Value::Text(Some(text.to_owned())),
    }
}

/// Whether a boolean, number or date is true in Python.
fn is_true(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let number = lower.trim_start_matches(['+', '-']);
    // A number is zero if all its digits are; without digits it is a word or infinite.
    let digits = number.strip_prefix("0x").unwrap_or(number.split('e').next().unwrap_or_default());
    let zero = digits.contains('0') && digits.chars().all(|c| "0._:b".contains(c));
    !["no", "false", "off"].contains(&lower.as_str()) && !zero
}

/// Whether YAML treats an unquoted scalar as a boolean, a number or a date.
fn is_typed(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let cased = lower == text || lower.to_ascii_uppercase() == text || text.get(1..) == lower.get(1..);
    if cased && (WORDS.contains(&lower.as_str()) || [".nan", ".inf"].contains(&lower.trim_start_matches(['+', '-']))) {
        return true;
    }
    let digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || b"_:".contains(&byte));
    let number = text.strip_prefix(['+', '-']).unwrap_or(text);
    let date = number.split('-').take(3).map(|part| part.bytes().take_while(u8::is_ascii_digit).count());
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part =
        part.split_once(['e', 'E']).filter(|(_, power)| power.starts_with(['+', '-'])).map_or(part, |(part, _)| part);
    number.starts_with("0x")
        || number.starts_with("0b")
        || date.eq([4, 2, 2])
        || number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && (digits(whole) || whole.is_empty() && digits(part))
            && (part.is_empty() || digits(part))
}

fn without_comment(text: &str) -> &str {
    let quoted = text.starts_with(['"', '\'']);
    if text.starts_with('#') {
        return "";
    }
    text.find(" #").filter(|_| !quoted).map_or(text, |at| text[..at].trim_end())
}
