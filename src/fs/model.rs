//! Opens the files of a model and reads its header.

use super::errors::system;
use super::source::Source;
use crate::container::gguf::{self, Header};
use crate::container::imatrix::ImportanceMatrix;
use crate::container::safetensors;
use crate::convert::{self, Folder};
use crate::error::{Code, Error, Result};
use crate::job::ByteRange;
use crate::recipe::{self, Plan, Recipe};
use std::fs;
use std::path::{Path, PathBuf};

/// Enough for the header of a model with a small vocabulary; a larger one is read in further steps.
const FIRST_READ: u64 = 1 << 18;

/// The container format of a model.
enum Container {
    Gguf(Box<Header>),
    Safetensors { folder: Box<Folder>, header_bytes: u64 },
}

/// An open model.
pub struct Model {
    /// The files with tensors.
    pub source: Source,
    container: Container,
    /// Other files that were read.
    pub beside: Vec<PathBuf>,
}

impl Model {
    /// Opens a model: a GGUF file, the first of several shards, a safetensors file, an index, or the folder of a model.
    ///
    /// # Errors
    /// I/O errors, and those of the parsers.
    pub fn open(path: &Path) -> Result<Model> {
        if fs::metadata(path).map_err(|error| system(&error, "cannot read", path))?.is_dir() {
            return super::folder::open(path);
        }
        if super::folder::is_index(path) {
            return super::folder::open_index(path);
        }
        let mut source = Source::default();
        source.add(path)?;
        if is_safetensors(&source)? {
            return super::folder::open_file(path, source);
        }
        let header = gguf_header(&source)?;
        if header.split_count() <= 1 || header.split_number() != 0 {
            return Ok(Model { source, container: Container::Gguf(Box::new(header)), beside: Vec::new() });
        }
        let mut headers = vec![header];
        for shard in shard_paths(path, headers[0].split_count())?.iter().skip(1) {
            let mut alone = Source::default();
            alone.add(shard)?;
            let place = |error: Error| error.within(&shard.display().to_string());
            headers.push(gguf_header(&alone).map_err(place)?);
            source.add(shard)?;
        }
        Ok(Model { source, container: Container::Gguf(Box::new(gguf::join(headers)?)), beside: Vec::new() })
    }

    /// A safetensors model from its open files.
    pub fn of_folder(source: Source, folder: Folder, header_bytes: u64, beside: Vec<PathBuf>) -> Model {
        Model { source, container: Container::Safetensors { folder: Box::new(folder), header_bytes }, beside }
    }

    /// Plans a conversion.
    ///
    /// # Errors
    /// As for [`recipe::plan`] and [`convert::plan`].
    pub fn plan(&self, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
        match &self.container {
            Container::Gguf(header) => recipe::plan(header, recipe, importance),
            Container::Safetensors { folder, .. } => convert::plan(folder, recipe, importance),
        }
    }

    /// The length of the header, which is part of the identity of the source.
    pub fn header_bytes(&self) -> u64 {
        match &self.container {
            Container::Gguf(header) => header.data_start(),
            Container::Safetensors { header_bytes, .. } => *header_bytes,
        }
    }
}

/// Reads as many bytes from the start as `parse` asks for, at least doubling the number each time.
pub fn read_header<T>(source: &Source, parse: impl Fn(&[u8]) -> Result<std::result::Result<T, u64>>) -> Result<T> {
    let (mut needed, mut prefix) = (FIRST_READ, Vec::new());
    loop {
        let have = prefix.len() as u64;
        let size = needed.max(have * 2).min(source.size());
        prefix.extend(source.read(&ByteRange { offset: have, length: size - have, second: None })?);
        match parse(&prefix)? {
            Ok(header) => return Ok(header),
            Err(more) if more <= size || more > source.size() => {
                let message = format!("the header needs {more} bytes, but the file has only {}", source.size());
                return Err(Error::new(Code::TRUNCATED, message).with("needed", more).with("size", source.size()));
            }
            Err(more) => needed = more,
        }
    }
}

fn gguf_header(source: &Source) -> Result<Header> {
    read_header(source, |prefix| {
        Ok(match gguf::parse(prefix, source.size())? {
            gguf::Parsed::Header(header) => Ok(*header),
            gguf::Parsed::NeedsMore(bytes) => Err(bytes),
        })
    })
}

/// Reads the header of a safetensors file.
pub fn safetensors_header(source: &Source) -> Result<safetensors::SafetensorsHeader> {
    read_header(source, |prefix| {
        Ok(match safetensors::parse(prefix, source.size())? {
            safetensors::Parsed::Header(header) => Ok(*header),
            safetensors::Parsed::NeedsMore(bytes) => Err(bytes),
        })
    })
}

/// By content: a header length that fits 32 bits, followed by an opening brace.
fn is_safetensors(source: &Source) -> Result<bool> {
    let prefix = source.read(&ByteRange { offset: 0, length: source.size().min(9), second: None })?;
    Ok(prefix.get(4..) == Some(b"\0\0\0\0{"))
}

/// The paths of all `count` shards of a model, from the path of the first.
fn shard_paths(first: &Path, count: u64) -> Result<Vec<PathBuf>> {
    const MAX_SHARDS: u64 = 4096;
    let name = first.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_lowercase();
    let stem = lower.strip_suffix(&format!("-00001-of-{count:05}.gguf")).map(|stem| &name[..stem.len()]);
    match stem {
        Some(stem) if count <= MAX_SHARDS && name.is_ascii() => {
            Ok((1..=count).map(|n| first.with_file_name(format!("{stem}-{n:05}-of-{count:05}.gguf"))).collect())
        }
        _ => {
            let message = format!(
                "'{}' is the first of {count} shards, but is not named NAME-00001-of-{count:05}.gguf; rename the shards",
                first.display()
            );
            Err(Error::new(Code::ARGUMENT, message).with("shards", count))
        }
    }
}
