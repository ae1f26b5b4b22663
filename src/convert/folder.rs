//! The files of a safetensors model.

use crate::container::gguf::TensorType;
use crate::container::safetensors::{Index, SafetensorsHeader, SafetensorsTensor};
use crate::error::{Code, Error, Result};
use crate::interning::Name;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The dtype of weights that are not quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// Keep each tensor's precision: F32, F16 and BF16 are unchanged, F64 becomes F32, F8 becomes F16.
    Source,
    /// One dtype for all tensors except those that stay in F32.
    Of(TensorType),
}

impl Float {
    /// The dtype of a tensor with stored dtype `dtype`.
    pub fn of(self, dtype: TensorType) -> TensorType {
        match (self, dtype) {
            (Float::Of(dtype), _) => dtype,
            (Float::Source, TensorType::F16 | TensorType::BF16) => dtype,
            (Float::Source, TensorType::F8_E4M3 | TensorType::F8_E5M2) => TensorType::F16,
            (Float::Source, _) => TensorType::F32,
        }
    }

    /// The number for `general.file_type`.
    pub fn file_type(self, dtypes: impl Iterator<Item = TensorType>) -> u32 {
        let most = match self {
            Float::Of(dtype) => dtype,
            Float::Source => {
                dtypes.map(|dtype| self.of(dtype)).find(|dtype| *dtype != TensorType::F32).unwrap_or(TensorType::F32)
            }
        };
        match most {
            TensorType::F16 => 1,
            TensorType::BF16 => 32,
            _ => 0,
        }
    }
}

/// A model in one or more safetensors files, which are treated as one concatenated file.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    tensors: Vec<SafetensorsTensor>,
    metadata: Vec<(String, String)>,
    size: u64,
    /// For each tensor name, its index in the tensors and the number of the first file that contains it.
    names: HashMap<Name, (usize, usize)>,
    /// The number of files.
    count: usize,
    files: BTreeMap<String, Vec<u8>>,
    name: String,
}

impl Folder {
    /// Adds the next file.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] for a tensor that an earlier file also contains.
    pub fn add(&mut self, header: SafetensorsHeader, file_size: u64) -> Result<()> {
        if let Some(tensor) = header.tensors.iter().find(|tensor| self.has(&tensor.name)) {
            let message = format!("tensor '{}' is in two files of the model", tensor.name);
            return Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.name.as_str()));
        }
        self.add_shard(header, file_size);
        Ok(())
    }

    /// Adds the next file of those known to belong to one model. If several files contain a tensor, the last one's data
    /// is used at the position of the first, as in llama.cpp's script.
    pub fn add_shard(&mut self, header: SafetensorsHeader, file_size: u64) {
        self.tensors.reserve_exact(header.tensors.len());
        self.names.reserve(header.tensors.len());
        for mut tensor in header.tensors {
            tensor.offset = tensor.offset.saturating_add(self.size);
            let next = (self.tensors.len(), self.count);
            match self.names.get(&tensor.name).and_then(|(index, _)| self.tensors.get_mut(*index)) {
                Some(earlier) => *earlier = tensor,
                None => {
                    self.names.insert(tensor.name.clone(), next);
                    self.tensors.push(tensor);
                }
            }
        }
        // If files have the same metadata key, the first value is kept.
        for (key, value) in header.metadata {
            if self.metadata.iter().all(|(known, _)| *known != key) {
                self.metadata.push((key, value));
            }
        }
        self.size = self.size.saturating_add(file_size);
        self.count = self.count.saturating_add(1);
    }

    /// The name of the folder, which a language model is named after if nothing else names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the name of the folder.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// The number of the first file that contains a tensor.
    pub(super) fn file_of(&self, tensor: &SafetensorsTensor) -> usize {
        self.names.get(&tensor.name).map_or(0, |(_, file)| *file)
    }

    /// Adds a file other than the tensors (`config.json`, `tokenizer.json` etc.) under its name in the folder.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes);
    }

    /// The contents of an added file.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The files in a subfolder, with their names relative to it.
    pub(super) fn files_under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let files = self.files.iter();
        files.filter_map(move |(name, bytes)| Some((name.strip_prefix(folder)?, bytes.as_slice())))
    }

    /// Checks the files against an index, which must name exactly their tensors.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] for a tensor that is only in the index or only in the files.
    pub fn check_index(&self, index: &Index) -> Result<()> {
        let refuse = |message: String, tensor: &str| Err(Error::new(Code::MALFORMED, message).with("tensor", tensor));
        if let Some((tensor, file)) = index.tensors.iter().find(|(tensor, _)| !self.has(tensor)) {
            return refuse(format!("the index lists tensor '{tensor}' in '{file}', which does not contain it"), tensor);
        }
        let named: HashSet<&str> = index.tensors.iter().map(|(tensor, _)| tensor.as_str()).collect();
        match self.tensors.iter().find(|tensor| !named.contains(tensor.name.as_str())) {
            None => Ok(()),
            Some(SafetensorsTensor { name, .. }) => refuse(
                format!(
                    "the files contain tensor '{name}', which the index does not list: the index and the files do not match"
                ),
                name,
            ),
        }
    }

    /// The tensors of all files; offsets are relative to the concatenated files.
    pub fn tensors(&self) -> &[SafetensorsTensor] {
        &self.tensors
    }

    /// The `__metadata__` of all files, without duplicate keys.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// Whether a tensor of this name exists.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The size of all files in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}
