//! Opens the files of a model and reads its header.

use super::source::Source;
use crate::container::gguf::Header;
use crate::container::imatrix::ImportanceMatrix;
use crate::container::safetensors;
use crate::convert::{self, Folder};
use crate::error::{Code, Error, Result};
use crate::job::ByteRange;
use crate::recipe::{self, Plan, Recipe};
use std::path::PathBuf;

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
    pub sidecars: Vec<PathBuf>,
}

impl Model {
    /// A GGUF model from its open files.
    pub fn of_gguf(source: Source, header: Header) -> Model {
        Model { source, container: Container::Gguf(Box::new(header)), sidecars: Vec::new() }
    }

    /// A safetensors model from its open files.
    pub fn of_folder(source: Source, folder: Folder, header_bytes: u64, sidecars: Vec<PathBuf>) -> Model {
        Model { source, container: Container::Safetensors { folder: Box::new(folder), header_bytes }, sidecars }
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

/// Reads the header of a safetensors file.
pub fn safetensors_header(source: &Source) -> Result<safetensors::SafetensorsHeader> {
    read_header(source, |prefix| {
        Ok(match safetensors::parse(prefix, source.size())? {
            safetensors::Parsed::Header(header) => Ok(*header),
            safetensors::Parsed::NeedsMore(bytes) => Err(bytes),
        })
    })
}
