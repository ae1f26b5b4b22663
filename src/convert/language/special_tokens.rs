//! Special tokens, whether they are added to a text, and text normalization.
//!
//! Source: `SpecialVocab` of gguf-py (MIT), whose order determines the order in the file.

use super::chat_template;
use super::files::{Files, bad};
use super::hparams::HParams;
use super::metadata::MetadataBuilder;
use super::tokenizer::{SETTINGS, TOKENIZER, content, settings};
use crate::error::{Code, Result};
use crate::json::Value;

/// The kinds of special tokens with a key in GGUF; the script looks for others too and ignores them.
const KEYS: &[(&str, &str)] = &[
    ("bos", "bos"),
    ("eos", "eos"),
    ("unk", "unknown"),
    ("sep", "seperator"),
    ("pad", "padding"),
    ("mask", "mask"),
    ("eot", "eot"),
    ("eom", "eom"),
];
/// Kinds with a flag for whether they are added.
const ADDED: &[&str] = &["bos", "eos", "sep"];
/// The kinds that are looked for, unless a template adds more.
const USUAL: &[&str] = &["bos", "eos", "unk", "sep", "pad", "cls", "mask"];
/// CodeLlama's infill tokens, with their ids if no file states others.
const INFILL: &[(&str, u64)] = &[("prefix", 32007), ("suffix", 32008), ("middle", 32009), ("eot", 32010)];

/// The state while collecting.
struct Special<'a> {
    files: &'a Files<'a>,
    /// Tokens for which the post-processor overrides tokenizer_config.json: strings, or objects with one. An object
    /// does not compare equal to the string it contains, and the script's decisions depend on that.
    corrected: Vec<(&'static str, Option<&'a Value>)>,
    /// Whether each kind is added, in the order in which that was determined.
    adds: Vec<(&'static str, bool)>,
    kinds: Vec<&'static str>,
    has_settings: bool,
}

impl<'a> Special<'a> {
    /// The token of a kind as stated in the file.
    fn stated(&self, kind: &str) -> Option<&'a Value> {
        let corrected = self.corrected.iter().rev().find(|(known, _)| *known == kind);
        corrected.map_or_else(|| settings(self.files, &format!("{kind}_token")), |(_, token)| *token)
    }

    fn token(&self, kind: &str) -> Option<&'a Value> {
        self.stated(kind).filter(|token| **token != Value::Null && token.as_str() != Some(""))
    }

    fn set_token(&mut self, kind: &'static str, token: Option<&'a Value>) {
        self.corrected.push((kind, token));
    }

    fn add(&mut self, kind: &'static str, value: bool) {
        match self.adds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, old)) => *old = value,
            None => self.adds.push((kind, value)),
        }
    }

    fn add_unless_known(&mut self, kind: &'static str, value: bool) {
        if !self.adds.iter().any(|(known, _)| *known == kind) {
            self.adds.push((kind, value));
        }
    }

    /// Reads what the post-processor adds to a text.
    fn read_processor(&mut self, processor: &'a Value) {
        match processor.get("type").and_then(Value::as_str) {
            Some("ByteLevel") => {
                self.add_unless_known("bos", false);
                self.add_unless_known("eos", false);
            }
            Some("RobertaProcessing") => {
                for kind in ADDED {
                    self.add(kind, true);
                }
                for (kind, stand_in) in [("cls", "bos"), ("sep", "eos")] {
                    if self.token(kind).is_none() && self.has_settings {
                        let stated = processor.get(kind).and_then(Value::as_list).and_then(<[_]>::first);
                        self.set_token(kind, stated.or(self.token(stand_in)));
                    }
                }
            }
            Some("TemplateProcessing") => self.read_template(processor),
            _ => {}
        }
    }

    fn read_template(&mut self, processor: &'a Value) {
        let steps = |name: &str| processor.get(name).and_then(Value::as_list).unwrap_or(&[]);
        let token = |step: Option<&'a Value>| step?.get("SpecialToken")?.get("id").filter(|id| id.as_str() != Some(""));
        let (single, pair) = (steps("single"), steps("pair"));
        let several = single.len() > 1;
        let first = several.then(|| token(single.first())).flatten();
        let last = several.then(|| token(single.last())).flatten();
        if let Some(first) = first {
            if !self.has_settings {
                self.set_token("bos", Some(first));
            } else if ![self.token("bos"), self.token("cls")].contains(&Some(first)) {
                for kind in ["bos", "cls"] {
                    if self.token(kind).is_none() {
                        self.set_token(kind, Some(first));
                    }
                }
            }
            self.add("bos", [self.token("bos"), self.token("cls")].contains(&Some(first)));
        }
        if let Some(last) = last {
            if self.has_settings && self.token("eos") != Some(last) {
                // The previous end-of-text token becomes the end of a turn or of a message.
                if let Some(kind) = ["eot", "eom"].into_iter().find(|kind| !self.kinds.contains(kind)) {
                    self.kinds.push(kind);
                    self.set_token(kind, self.token("eos"));
                }
            }
            self.set_token("eos", Some(last));
            self.add("eos", true);
        }
        self.read_pair(pair, first, last, &token);
    }

    /// For a pair of texts: determines whether a token separates them.
    fn read_pair(
        &mut self,
        pair: &'a [Value],
        first: Option<&'a Value>,
        last: Option<&'a Value>,
        token: &impl Fn(Option<&'a Value>) -> Option<&'a Value>,
    ) {
        let start = usize::from(first.is_some() && token(pair.first()) == first);
        let end = pair.len().saturating_sub(usize::from(last.is_some() && token(pair.last()) == last));
        let Some(inner) = pair.get(start..end) else { return };
        let sequence = |step: Option<&Value>| step?.get("Sequence")?.get("id")?.as_str().map(str::to_owned);
        if sequence(inner.first()).as_deref() != Some("A") || sequence(inner.last()).as_deref() != Some("B") {
            return;
        }
        let Some(between) = inner.get(1..inner.len().saturating_sub(1)).filter(|between| !between.is_empty()) else {
            return;
        };
        let ends = [self.token("sep"), self.token("eos")];
        let is_end = |step: Option<&'a Value>| token(step).is_some_and(|id| ends.contains(&Some(id)));
        let one = is_end(between.first()) && last.is_none();
        let add = one || between.len() == 2 && is_end(between.get(1));
        self.add("sep", add);
        if add && self.token("sep").is_none() && self.has_settings {
            self.set_token("sep", self.token("eos"));
        }
    }
}

/// Writes ids, flags, the chat template and the normalizer. Ids from `limit` on are omitted.
pub(super) fn write(files: &Files, hparams: &HParams, limit: Option<u64>, out: &mut MetadataBuilder) -> Result<()> {
    write_kinds(files, hparams, USUAL.to_vec(), limit, &[], out)
}

/// Writes CodeLlama's additional tokens.
pub(super) fn write_infill(files: &Files, hparams: &HParams, out: &mut MetadataBuilder) -> Result<()> {
    write_kinds(files, hparams, INFILL.iter().map(|(kind, _)| *kind).collect(), None, INFILL, out)
}

/// Writes the requested kinds; `known` ids are used if no file states others.
fn write_kinds(
    files: &Files,
    hparams: &HParams,
    kinds: Vec<&'static str>,
    limit: Option<u64>,
    known: &[(&'static str, u64)],
    out: &mut MetadataBuilder,
) -> Result<()> {
    let tokenizer = files.json(TOKENIZER).unwrap_or(&Value::Null);
    let has_settings =
        files.json(SETTINGS).is_some_and(|settings| settings.as_object().is_some_and(|all| !all.is_empty()));
    let mut special = Special { files, corrected: Vec::new(), adds: Vec::new(), kinds, has_settings };
    if *tokenizer != Value::Null {
        for (kind, stand_in) in [("bos", "cls"), ("eos", "sep")] {
            if special.token(kind).is_none() && special.token(stand_in).is_some() {
                special.set_token(kind, special.token(stand_in));
            }
        }
    }
    if let Some(processor) = tokenizer.get("post_processor").filter(|processor| **processor != Value::Null) {
        let several = processor.get("processors").and_then(Value::as_list);
        for processor in several.unwrap_or(std::slice::from_ref(processor)) {
            special.read_processor(processor);
        }
    }
    let added = tokenizer.get("added_tokens").and_then(Value::as_list).unwrap_or(&[]);
    let mut ids: Vec<(&str, u64)> = Vec::new();
    let mut set = |kind: &'static str, id: u64| {
        if limit.is_none_or(|limit| id < limit) && !ids.iter().any(|(known, _)| *known == kind) {
            ids.push((kind, id));
        }
    };
    let kinds = special.kinds.clone();
    if has_settings {
        for kind in &kinds {
            if let Some(Value::Bool(stated)) = settings(files, &format!("add_{kind}_token")) {
                special.add_unless_known(kind, *stated);
            }
            let text = special.stated(kind).and_then(content);
            let token = added.iter().find(|token| token.get("content").and_then(Value::as_str) == text);
            if let Some(id) = token.filter(|_| text.is_some()).and_then(|token| token.get("id")?.as_u64()) {
                set(kind, id);
            }
        }
    }
    for kind in &kinds {
        match hparams.token_id(kind) {
            Some(id) if id < 0.0 => {
                return Err(bad("config.json", Code::MALFORMED, format!("{kind}_token_id is {id}")));
            }
            Some(id) if id.fract() == 0.0 && id <= f64::from(u32::MAX) => set(kind, id as u64),
            _ => {}
        }
    }
    for (kind, id) in known {
        set(kind, *id);
    }
    for (kind, id) in ids {
        if let Some((_, name)) = KEYS.iter().find(|(known, _)| *known == kind) {
            out.u32(&format!("tokenizer.ggml.{name}_token_id"), id as u32);
        }
    }
    for (kind, value) in special.adds.iter().filter(|(kind, _)| ADDED.contains(kind)) {
        out.bool(&format!("tokenizer.ggml.add_{kind}_token"), *value);
    }
    if has_settings {
        chat_template::write(files, out)?;
    }
    let (mut lowercase, mut strip) = (None, None);
    if let Some(normalizer) = tokenizer.get("normalizer") {
        read_normalizer(normalizer, &mut lowercase, &mut strip);
    }
    for (name, value) in [("lowercase", lowercase), ("strip_accents", strip)] {
        if let Some(value) = value {
            out.bool(&format!("tokenizer.ggml.normalizer.{name}"), value);
        }
    }
    Ok(())
}

/// Reads the normalizer flags, wherever in a sequence they are.
fn read_normalizer(normalizer: &Value, lowercase: &mut Option<bool>, strip: &mut Option<bool>) {
    match normalizer.get("type").and_then(Value::as_str) {
        Some("Lowercase") => *lowercase = Some(true),
        Some("StripAccents") => *strip = Some(true),
        Some("BertNormalizer") => {
            for (key, to) in [("lowercase", lowercase), ("strip_accents", strip)] {
                if let Some(value) = normalizer.get(key) {
                    *to = value.as_bool();
                }
            }
        }
        Some("Sequence") => {
            for part in normalizer.get("normalizers").and_then(Value::as_list).unwrap_or(&[]) {
                read_normalizer(part, lowercase, strip);
            }
        }
        _ => {}
    }
}
