//! The folder of a safetensors model: its tensors, configuration and tokenizer files.

use super::errors::system;
use super::file_identity::folder_of;
use super::model::{Model, safetensors_header};
use super::source::Source;
use crate::container::safetensors::parse_index;
use crate::convert::Folder;
use crate::error::{Code, Error, Result};
use crate::job::ByteRange;
use std::fs;
use std::path::{Path, PathBuf};

/// Files next to the tensors of a safetensors model that describe it.
const SIDECARS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "hf_quant_config.json",
    "tekken.json",
    "README.md",
];

/// Maximum size of such a file. The largest vocabularies as JSON have 40 MB.
const MAX_SIDECAR_BYTES: u64 = 1 << 28;

/// Whether a path is that of an index, which assigns tensors to files.
pub fn is_index(path: &Path) -> bool {
    path.to_string_lossy().to_lowercase().ends_with(".safetensors.index.json")
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// The model in a folder.
pub enum Found {
    /// A safetensors model.
    Model(Model),
    /// A GGUF file, or the first of several.
    Gguf(PathBuf),
}

/// Opens the folder of a model.
pub fn open(path: &Path) -> Result<Found> {
    let entries = fs::read_dir(path).map_err(|error| system(&error, "cannot read", path))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    if let Some(index) = files.iter().find(|path| is_index(path)) {
        return open_index(index).map(Found::Model);
    }
    let mut tensors: Vec<&PathBuf> = files.iter().filter(|path| has_ending(path, "safetensors")).collect();
    let mut ggufs = files.iter().filter(|path| has_ending(path, "gguf"));
    match (ggufs.next(), tensors.is_empty()) {
        (Some(_), false) => {
            let message = "the folder has both GGUF and safetensors files; open one of the two models";
            return Err(Error::new(Code::ARGUMENT, message));
        }
        (Some(first), true) => return Ok(Found::Gguf(first.clone())),
        (None, true) => {
            let message = format!("there is no GGUF or safetensors file in '{}'", path.display());
            return Err(Error::new(Code::NOT_FOUND, message));
        }
        (None, false) => {}
    }
    // Some folders contain the same model a second time, in its authors' original layout.
    let whole = tensors.iter().position(|path| path.ends_with("model.safetensors"));
    if let Some(whole) = whole {
        tensors = vec![tensors[whole]];
    }
    let tensors: Vec<PathBuf> = tensors.into_iter().cloned().collect();
    build(path, &tensors, None, true).map(Found::Model)
}

/// Opens the files that an index names.
pub fn open_index(path: &Path) -> Result<Model> {
    let index = read_small(path)?;
    let folder = folder_of(path);
    let files = parse_index(&index)?.files;
    let plain = |name: &&String| !name.is_empty() && !name.contains(['/', '\\', ':', '\0']) && *name != "..";
    if let Some(name) = files.iter().find(|name| !plain(name)) {
        let message = format!("{}: '{name}' is not in the folder of the index", path.display());
        return Err(Error::new(Code::MALFORMED, message).with("file", name.as_str()));
    }
    let files: Vec<PathBuf> = files.iter().map(|name| folder.join(name)).collect();
    build(folder, &files, Some((path, &index)), true)
}

/// Opens a single safetensors file that is already open.
pub fn open_file(path: &Path, source: Source) -> Result<Model> {
    drop(source);
    // For other safetensors files the names do not show whether the files next to them belong to them.
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    build(folder_of(path), &[path.to_owned()], None, name.starts_with("model"))
}

fn build(path: &Path, files: &[PathBuf], index: Option<(&Path, &[u8])>, with_sidecars: bool) -> Result<Model> {
    let (mut source, mut folder, mut header_bytes) = (Source::default(), Folder::default(), 0);
    for file in files {
        let mut alone = Source::default();
        alone.add(file)?;
        let place = |error: Error| error.within(&file.display().to_string());
        let header = safetensors_header(&alone).map_err(place)?;
        if header_bytes == 0 {
            header_bytes = header.data_start;
        }
        folder.add(header, alone.size())?;
        source.add(file)?;
    }
    let mut sidecars = Vec::new();
    if let Some((path, index)) = index {
        folder.check_index(&parse_index(index)?)?;
        sidecars.push(path.to_owned());
    }
    let templates = fs::read_dir(path.join("additional_chat_templates")).into_iter().flatten().flatten();
    let templates =
        templates.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.ends_with(".jinja"));
    let templates: Vec<String> = templates.map(|name| format!("additional_chat_templates/{name}")).collect();
    let names = SIDECARS.iter().copied().chain(templates.iter().map(String::as_str));
    for name in names.filter(|_| with_sidecars) {
        let file = path.join(name);
        if file.is_file() {
            folder.add_file(name, read_small(&file)?);
            sidecars.push(file);
        }
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    folder.set_name(&real.file_name().unwrap_or_default().to_string_lossy());
    let mut made = vec![folder.generated()];
    for (offset, length) in folder.repeated() {
        made.push(source.read(&ByteRange { offset, length, second: None })?);
    }
    made.into_iter().filter(|bytes| !bytes.is_empty()).for_each(|bytes| source.add_bytes(bytes));
    Ok(Model::of_folder(source, folder, header_bytes, sidecars))
}

fn read_small(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).map_err(|error| system(&error, "cannot read", path))?.len();
    if size > MAX_SIDECAR_BYTES {
        let message = format!("'{}' has {size} bytes; the limit is {MAX_SIDECAR_BYTES}", path.display());
        return Err(Error::new(Code::TOO_LARGE, message).with("size", size).with("limit", MAX_SIDECAR_BYTES));
    }
    fs::read(path).map_err(|error| system(&error, "cannot read", path))
}
