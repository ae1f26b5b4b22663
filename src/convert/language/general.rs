//! `general.*`: the name and origin of the model, and its recommended sampling parameters.

use super::files::{Files, bad};
use super::metadata::MetadataBuilder;
use super::model_card::ModelCard;
use super::model_id::{Components, size_label, title};
use crate::error::{Code, Result};
use crate::json::Value;

const GENERATION: &str = "generation_config.json";

/// generation_config.json to `general.sampling.*`; `true` for integers.
const SAMPLING: &[(&str, &str, bool)] = &[
    ("top_k", "top_k", true),
    ("top_p", "top_p", false),
    ("min_p", "min_p", false),
    ("xtc_probability", "xtc_probability", false),
    ("xtc_threshold", "xtc_threshold", false),
    ("temperature", "temp", false),
    ("penalty_last_n", "penalty_last_n", true),
    ("repetition_penalty", "penalty_repeat", false),
    ("penalty_repeat", "penalty_repeat", false),
    ("mirostat", "mirostat", true),
    ("mirostat_tau", "mirostat_tau", false),
    ("mirostat_eta", "mirostat_eta", false),
];

/// Keys in the order of the file, with their keys in the model card; the first one that exists is used.
const FIELDS: &[(&str, &[&str])] = &[
    ("name", &["name", "model_name"]),
    ("author", &["author", "model_author", "model_creator"]),
    ("version", &["version", "model_version"]),
    ("organization", &["organization", "model_organization"]),
    ("finetune", &["finetune", "model_finetune"]),
    ("basename", &["basename", "model_basename", "model_type"]),
    ("description", &["description", "model_description"]),
    ("size_label", &["size_label", "model_size_label"]),
    ("license", &["license"]),
    ("license.name", &["license_name"]),
    ("license.link", &["license_link"]),
    ("source.url", &["url", "model_url"]),
    ("source.doi", &["doi", "model_doi"]),
    ("source.uuid", &["uuid", "model_uuid"]),
    ("source.repo_url", &["repo_url", "model_repo_url"]),
];

/// Writes what the model card, config.json and the folder name state, in this order of precedence.
pub(super) fn write(files: &Files, folder: &str, weights: u64, out: &mut MetadataBuilder) -> Result<()> {
    if let Some(generation) = files.json(GENERATION) {
        write_sampling(generation, out)?;
    }
    let card = files.text("README.md").map_or(Ok(ModelCard::default()), ModelCard::parse)?;
    let mut known: Vec<Option<String>> = Vec::with_capacity(FIELDS.len());
    for (field, keys) in FIELDS {
        let mut found = None;
        for key in keys.iter().filter(|key| card.has(key)) {
            // A model with several licences has a list of them.
            let stated = if *field == "license" { card.joined(key)? } else { card.text(key)? };
            found = found.or(stated);
        }
        known.push(found);
    }
    let path = files.json("config.json").and_then(|config| config.get("_name_or_path")).and_then(Value::as_str);
    let path = path.filter(|path| path.matches('/').count() <= 1);
    for id in path.into_iter().chain([folder]).filter(|id| !id.is_empty()) {
        let parts = Components::of(id, weights);
        let parts = [
            ("name", parts.name.map(|name| title(&name))),
            ("organization", parts.organization.map(|name| title(&name))),
            ("basename", parts.basename),
            ("finetune", parts.finetune),
            ("version", parts.version),
            ("size_label", parts.size_label),
        ];
        for ((field, _), value) in FIELDS.iter().zip(&mut known) {
            if value.is_none() {
                *value = parts.iter().find(|(name, _)| name == field).and_then(|(_, value)| value.clone());
            }
        }
    }
    for ((field, _), value) in FIELDS.iter().zip(known) {
        let value = value.or_else(|| (*field == "size_label" && weights > 0).then(|| size_label(weights)));
        if let Some(value) = value {
            out.text(&format!("general.{field}"), value);
        }
    }
    write_origins("base_model", &["base_model", "base_models", "base_model_sources"], &card, weights, out)?;
    write_origins("dataset", &["datasets", "dataset", "dataset_sources"], &card, weights, out)?;
    for (key, names) in [("tags", ["tags", "pipeline_tag"]), ("languages", ["languages", "language"])] {
        let mut all = Vec::new();
        for name in names {
            all.extend(card.list(name)?);
        }
        if !all.is_empty() {
            out.texts(&format!("general.{key}"), all.iter().map(String::as_str));
        }
    }
    Ok(())
}

fn write_sampling(generation: &Value, out: &mut MetadataBuilder) -> Result<()> {
    let bad = |key: &str, what: &str| Err(bad(GENERATION, Code::MALFORMED, format!("{key} is not a {what}")));
    match generation.get("sequence").unwrap_or(&Value::Null) {
        Value::Null => {}
        Value::Text(sequence) => out.text("general.sampling.sequence", sequence),
        _ => return bad("sequence", "string"),
    }
    // The script prefers the newer of the two names for a penalty.
    let newer = generation.get("penalty_repeat").is_some();
    for (from, to, whole) in SAMPLING.iter().filter(|(from, ..)| *from != "repetition_penalty" || !newer) {
        let number = match generation.get(from).unwrap_or(&Value::Null) {
            Value::Null => continue,
            Value::Number(number) => *number,
            _ => return bad(from, "number"),
        };
        let key = format!("general.sampling.{to}");
        match *whole {
            true if number != f64::from(number as i32) => return bad(from, "whole number"),
            true => out.i32(&key, number as i32),
            false => out.f32(&key, number),
        }
    }
    Ok(())
}

/// Writes the models or data sets from which this one was made.
fn write_origins(kind: &str, names: &[&str], card: &ModelCard, weights: u64, out: &mut MetadataBuilder) -> Result<()> {
    const SITE: &str = "https://huggingface.co/";
    let Some(name) = names.iter().find(|name| card.has(name)) else { return Ok(()) };
    let ids = card.list(name)?;
    out.u32(&format!("general.{kind}.count"), ids.len() as u32);
    for (index, id) in ids.iter().enumerate() {
        let address = ["http://", "https://", "ssh://"].iter().any(|scheme| id.starts_with(scheme));
        let on_site = id.strip_prefix(SITE).or(id.strip_prefix("http://huggingface.co/"));
        let on_site =
            on_site.filter(|path| path.split('/').count() == 2 && path.split('/').all(|part| !part.is_empty()));
        let named = if address { on_site } else { Some(id.as_str()) };
        let parts = named.map_or_else(Components::default, |id| Components::of(id, weights));
        let repository = match (&parts.organization, &parts.name) {
            _ if address => Some(id.clone()),
            (Some(organization), Some(name)) => Some(format!("{SITE}{organization}/{name}")),
            _ => None,
        };
        for (key, value) in [
            ("name", parts.name.map(|name| title(&name))),
            ("version", parts.version),
            ("organization", parts.organization.map(|name| title(&name))),
            ("repo_url", repository),
        ] {
            if let Some(value) = value {
                out.text(&format!("general.{kind}.{index}.{key}"), value);
            }
        }
    }
    Ok(())
}
