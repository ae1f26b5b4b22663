//! Chat templates: one, or several with names.
//!
//! Source: `SpecialVocab` and `GGUFWriter.add_chat_template` of gguf-py (MIT). The script keeps names in a set, whose
//! order varies between runs; here they are in file order.

use super::files::{Files, bad};
use super::metadata::MetadataBuilder;
use super::tokenizer::{SETTINGS, settings};
use crate::error::{Code, Result};
use crate::json::Value;

const KEY: &str = "tokenizer.chat_template";
const DEFAULT: &str = "default";

/// Writes the templates of tokenizer_config.json, or those in files of their own.
///
/// # Errors
/// [`Code::MALFORMED`] for a list of templates without names and texts.
pub(super) fn write(files: &Files, out: &mut MetadataBuilder) -> Result<()> {
    const JSON: &str = "chat_template.json";
    match (settings(files, "chat_template"), files.text("chat_template.jinja")) {
        (Some(stated), _) => write_stated(SETTINGS, stated, out),
        (None, Some(template)) if files.templates.is_empty() => {
            out.text(KEY, template);
            Ok(())
        }
        (None, Some(template)) => {
            let others = files.templates.iter().map(|(name, template)| (*name, template.as_str()));
            write_choices(std::iter::once((DEFAULT, template)).chain(others), out);
            Ok(())
        }
        (None, None) => match files.json(JSON).and_then(|json| json.get("chat_template")) {
            Some(stated) => write_stated(JSON, stated, out),
            None => Ok(()),
        },
    }
}

/// Writes a text, or a list of names and texts; anything else is ignored.
fn write_stated(file: &'static str, stated: &Value, out: &mut MetadataBuilder) -> Result<()> {
    let Value::List(choices) = stated else {
        if let Value::Text(template) = stated {
            out.text(KEY, template);
        }
        return Ok(());
    };
    let mut named = Vec::with_capacity(choices.len());
    for (index, choice) in choices.iter().enumerate() {
        match (choice.get("name"), choice.get("template")) {
            (Some(Value::Text(name)), Some(Value::Text(template))) => named.push((name.as_str(), template.as_str())),
            (None, _) if choice.as_object().is_some() => {}
            (Some(Value::Text(_)), None | Some(Value::Null)) => {}
            _ => {
                let message = format!("entry {index} of chat_template is not a name and a template");
                return Err(bad(file, Code::MALFORMED, message));
            }
        }
    }
    write_choices(named.into_iter(), out);
    Ok(())
}

/// Writes several templates, each with its name.
pub(super) fn write_choices<'a>(choices: impl Iterator<Item = (&'a str, &'a str)>, out: &mut MetadataBuilder) {
    let (mut names, mut default): (Vec<String>, Option<&str>) = (Vec::new(), None);
    for (name, template) in choices.filter(|(name, _)| !name.is_empty()) {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if name == DEFAULT {
            default = Some(template);
            continue;
        }
        out.text(&format!("{KEY}.{name}"), template);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if !names.is_empty() {
        out.texts("tokenizer.chat_templates", names.iter().map(String::as_str));
    }
    if let Some(template) = default {
        out.text(KEY, template);
    }
}
