//! The small files of a folder.

use crate::convert::Folder;
use crate::error::{Code, Error, Result};
use crate::json::{self, Value};

/// Bytes of one file: the largest tokenizers take some 40 MB.
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
/// It says how weights are quantized.
const QUANTIZED: &str = "hf_quant_config.json";
/// Where templates of chats lie besides the one that is used unless another is asked for.
const TEMPLATES: &str = "additional_chat_templates/";
/// Models have two or three.
const MAX_TEMPLATES: usize = 256;

/// What of a folder says something of the model, read.
#[derive(Debug, Default)]
pub(super) struct Files<'a> {
    json: Vec<(&'static str, Value)>,
    text: Vec<(&'static str, String)>,
    /// Further templates of chats, and their names.
    pub templates: Vec<(&'a str, String)>,
    /// tokenizer.model: SentencePiece's own file.
    pub model: Option<&'a [u8]>,
    /// Whether there is Mistral's own file of tokens.
    pub has_tekken: bool,
    /// Whether merges are in a file of their own.
    pub has_merges: bool,
    /// What the caller calls the way text is cut.
    pub pre_tokenizer: Option<&'a str>,
}

impl<'a> Files<'a> {
    /// Those only that say what kind of model it is.
    ///
    /// # Errors
    /// As of [`Files::read`].
    pub fn card(folder: &'a Folder) -> Result<Self> {
        let mut files = Files::default();
        files.add(folder, &["config.json"], &["README.md"])?;
        Ok(files)
    }

    /// Reads them.
    ///
    /// # Errors
    /// [`Code::TOO_LARGE`]; [`Code::MALFORMED`] for what is no JSON or no UTF-8; each names the file.
    pub fn read(folder: &'a Folder, pre_tokenizer: Option<&'a str>) -> Result<Self> {
        let model = folder.file("tokenizer.model");
        let [has_tekken, has_merges] = ["tekken.json", "merges.txt"].map(|name| folder.file(name).is_some());
        let mut files = Files { model, has_tekken, has_merges, pre_tokenizer, ..Files::default() };
        if folder.file(QUANTIZED).is_some() {
            let message = "the weights are quantized already; the original model is needed";
            return Err(bad(QUANTIZED, Code::UNSUPPORTED, message));
        }
        files.add(folder, JSON, TEXT)?;
        for (name, bytes) in folder.files_under(TEMPLATES) {
            if files.templates.len() == MAX_TEMPLATES {
                let message = format!("it has more than {MAX_TEMPLATES} templates, which is the limit");
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

    /// A file of JSON, if the folder has it.
    pub fn json(&self, name: &str) -> Option<&Value> {
        self.json.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// A file of text, if the folder has it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.text.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// A file of JSON without which there is no conversion.
    pub fn need(&self, name: &'static str) -> Result<&Value> {
        self.json(name)
            .ok_or_else(|| bad(name, Code::MALFORMED, "the folder does not have it, and a language model needs it"))
    }
}

fn check_size(name: &str, bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_FILE_BYTES {
        return Ok(());
    }
    let message = format!("it has {} bytes, and {MAX_FILE_BYTES} is the limit", bytes.len());
    Err(bad(name, Code::TOO_LARGE, message).with("limit", MAX_FILE_BYTES))
}

/// A text as Python reads it: every line ends with a line feed.
fn decoded(name: &str, bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad(name, Code::MALFORMED, "it is not UTF-8"))?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// An error about a key of a file.
pub(super) fn bad(file: &str, code: Code, message: impl std::fmt::Display) -> Error {
    Error::new(code, format!("{file}: {message}")).with("file", file)
}
