//! The configuration and tokenizer files of a folder.

use crate::convert::folder::Folder;
use crate::error::{Code, Error, Result};
use crate::json::{self, Value};

/// Maximum size of one file. The largest tokenizers have about 40 MB.
const MAX_FILE_BYTES: usize = 1 << 28;

const JSON: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.json",
    "modules.json",
    "1_Pooling/config.json",
];
const TEXT: &[&str] = &["chat_template.jinja", "README.md"];
/// States how weights are quantized.
const QUANTIZED: &str = "hf_quant_config.json";
/// The folder with additional chat templates, next to the default one.
const TEMPLATES: &str = "additional_chat_templates/";
/// Maximum number of additional chat templates. Models have two or three.
const MAX_TEMPLATES: usize = 256;

/// The contents of the files that describe the model.
#[derive(Debug, Default)]
pub(super) struct Files<'a> {
    json: Vec<(&'static str, Value)>,
    text: Vec<(&'static str, String)>,
    /// Additional chat templates with their names.
    pub templates: Vec<(&'a str, String)>,
    /// tokenizer.model, SentencePiece's own format.
    pub model: Option<&'a [u8]>,
    /// Whether tekken.json, Mistral's own token file, exists.
    pub has_tekken: bool,
    /// Whether merges.txt exists.
    pub has_merges: bool,
    /// The name of the pre-tokenizer given by the caller.
    pub pre_tokenizer: Option<&'a str>,
}

impl<'a> Files<'a> {
    /// Reads only the files that determine the kind of model.
    ///
    /// # Errors
    /// As for [`Files::read`].
    pub fn card(folder: &'a Folder) -> Result<Self> {
        let mut files = Files::default();
        files.add(folder, &["config.json"], &["README.md"])?;
        Ok(files)
    }

    /// Reads all files.
    ///
    /// # Errors
    /// [`Code::TOO_LARGE`]; [`Code::MALFORMED`] for invalid JSON or UTF-8. The message names the file.
    pub fn read(folder: &'a Folder, pre_tokenizer: Option<&'a str>) -> Result<Self> {
        let model = folder.file("tokenizer.model");
        let [has_tekken, has_merges] = ["tekken.json", "merges.txt"].map(|name| folder.file(name).is_some());
        let mut files = Files { model, has_tekken, has_merges, pre_tokenizer, ..Files::default() };
        if folder.file(QUANTIZED).is_some() {
            let message = "the weights are already quantized; open the original model";
            return Err(bad(QUANTIZED, Code::UNSUPPORTED, message));
        }
        files.add(folder, JSON, TEXT)?;
        for (name, bytes) in folder.files_under(TEMPLATES) {
            if files.templates.len() == MAX_TEMPLATES {
                let message = format!("there are more than {MAX_TEMPLATES} templates, which is the limit");
                return Err(bad(TEMPLATES, Code::TOO_LARGE, message).with("limit", MAX_TEMPLATES));
            }
            check_size(name, bytes)?;
            if let Some(stem) = name.strip_suffix(".jinja") {
                files.templates.push((if stem.is_empty() { name } else { stem }, decoded(name, bytes)?));
            }
        }
        Ok(files)
    }

    fn add(&mut self, folder: &Folder, json: &[&'static str], text: &[&'static str]) -> Result<()> {
        for &name in json {
            let Some(bytes) = folder.file(name) else { continue };
            check_size(name, bytes)?;
            self.json.push((name, json::parse(bytes, name).map_err(|error| error.with("file", name))?));
        }
        for &name in text {
            let Some(bytes) = folder.file(name) else { continue };
            check_size(name, bytes)?;
            self.text.push((name, decoded(name, bytes)?));
        }
        Ok(())
    }

    /// The contents of a JSON file, if the folder has it.
    pub fn json(&self, name: &str) -> Option<&Value> {
        self.json.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The contents of a text file, if the folder has it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.text.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// The contents of a JSON file that a conversion requires.
    pub fn need(&self, name: &'static str) -> Result<&Value> {
        self.json(name)
            .ok_or_else(|| bad(name, Code::MALFORMED, "the folder does not have it, but a language model needs it"))
    }
}

fn check_size(name: &str, bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_FILE_BYTES {
        return Ok(());
    }
    let message = format!("it has {} bytes; the limit is {MAX_FILE_BYTES}", bytes.len());
    Err(bad(name, Code::TOO_LARGE, message).with("limit", MAX_FILE_BYTES))
}

/// Decodes a text like Python, normalizing line ends to line feeds.
fn decoded(name: &str, bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad(name, Code::MALFORMED, "it is not UTF-8"))?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// An error about a file.
pub(super) fn bad(file: &str, code: Code, message: impl std::fmt::Display) -> Error {
    Error::new(code, format!("{file}: {message}")).with("file", file)
}
