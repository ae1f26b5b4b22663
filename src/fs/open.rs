//! Opens a model by the path of any of its files, or of its folder.

use super::errors::system;
use super::folder::{self, Found};
use super::model::{Model, read_header};
use super::source::Source;
use crate::container::gguf::{self, Header};
use crate::error::{Code, Error, Result};
use crate::job::ByteRange;
use std::fs;
use std::path::{Path, PathBuf};

/// Opens a model: a GGUF file, the first of several shards, a safetensors file, an index, or the folder of a model.
///
/// # Errors
/// I/O errors, and those of the parsers.
pub fn open(path: &Path) -> Result<Model> {
    if fs::metadata(path).map_err(|error| system(&error, "cannot read", path))?.is_dir() {
        return match folder::open(path)? {
            Found::Model(model) => Ok(model),
            Found::Gguf(first) => open(&first),
        };
    }
    if folder::is_index(path) {
        return folder::open_index(path);
    }
    let mut source = Source::default();
    source.add(path)?;
    if is_safetensors(&source)? {
        return folder::open_file(path, source);
    }
    let header = join_shards(path, &mut source)?;
    Ok(Model::of_gguf(source, header))
}

/// Opens a GGUF file, or the shards whose first it is.
///
/// # Errors
/// I/O errors, and those of the parser.
pub fn open_gguf(path: &Path) -> Result<(Source, Header)> {
    let mut source = Source::default();
    source.add(path)?;
    let header = join_shards(path, &mut source)?;
    Ok((source, header))
}

/// Reads the header of an open file. If it is the first of several shards, adds the others to the source.
fn join_shards(path: &Path, source: &mut Source) -> Result<Header> {
    let header = gguf_header(source)?;
    if header.split_count() <= 1 || header.split_number() != 0 {
        return Ok(header);
    }
    let mut headers = vec![header];
    for shard in shard_paths(path, headers[0].split_count())?.iter().skip(1) {
        let mut alone = Source::default();
        alone.add(shard)?;
        let place = |error: Error| error.within(&shard.display().to_string());
        headers.push(gguf_header(&alone).map_err(place)?);
        source.add(shard)?;
    }
    gguf::join(headers)
}

fn gguf_header(source: &Source) -> Result<Header> {
    read_header(source, |prefix| {
        Ok(match gguf::parse(prefix, source.size())? {
            gguf::Parsed::Header(header) => Ok(*header),
            gguf::Parsed::NeedsMore(bytes) => Err(bytes),
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
