//! The files of a safetensors model, and the target they are converted to.

use super::companion;
use super::kind::{self, Kind};
use super::{diffusion, language, plain};
use crate::container::gguf::{Header, TensorType};
use crate::container::safetensors::{Index, SafetensorsHeader, SafetensorsTensor};
use crate::error::{Code, Error, Result};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The type of weights that are not quantized, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    /// Each tensor's own precision: F32, F16 and BF16 stay what they are, F64 becomes F32, eight-bit floats F16.
    Source,
    /// One type for all tensors that are not kept in F32.
    Of(TensorType),
}

impl Float {
    /// The type of a tensor that is stored as `kind`.
    pub fn of(self, kind: TensorType) -> TensorType {
        match (self, kind) {
            (Float::Of(kind), _) => kind,
            (Float::Source, TensorType::F16 | TensorType::BF16) => kind,
            (Float::Source, TensorType::F8_E4M3 | TensorType::F8_E5M2) => TensorType::F16,
            (Float::Source, _) => TensorType::F32,
        }
    }

    /// Its number as `general.file_type`.
    pub fn file_type(self, kinds: impl Iterator<Item = TensorType>) -> u32 {
        let most = match self {
            Float::Of(kind) => kind,
            Float::Source => {
                kinds.map(|kind| self.of(kind)).find(|kind| *kind != TensorType::F32).unwrap_or(TensorType::F32)
            }
        };
        match most {
            TensorType::F16 => 1,
            TensorType::BF16 => 32,
            _ => 0,
        }
    }
}

/// A model in one or several safetensors files, which are read as if they stood end to end.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    tensors: Vec<SafetensorsTensor>,
    metadata: Vec<(String, String)>,
    size: u64,
    /// Where among the tensors each is, and the number of the first file that has it.
    names: HashMap<String, (usize, usize)>,
    /// How many files there are.
    count: usize,
    files: BTreeMap<String, Vec<u8>>,
    name: String,
}

impl Folder {
    /// Adds the next file.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] for a tensor that an earlier file has too.
    pub fn add(&mut self, header: SafetensorsHeader, file_size: u64) -> Result<()> {
        if let Some(tensor) = header.tensors.iter().find(|tensor| self.has(&tensor.name)) {
            let message = format!("tensor '{}' is in two files of the model", tensor.name);
            return Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.name.as_str()));
        }
        self.add_shard(header, file_size);
        Ok(())
    }

    /// Adds the next of files that are known to be those of one model. Of a tensor that several have, the last counts, in the
    /// place of the first, as llama.cpp's script has it.
    pub fn add_shard(&mut self, header: SafetensorsHeader, file_size: u64) {
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
        // Files of one model say the same of it: what the first says holds.
        for (key, value) in header.metadata {
            if self.metadata.iter().all(|(known, _)| *known != key) {
                self.metadata.push((key, value));
            }
        }
        self.size = self.size.saturating_add(file_size);
        self.count = self.count.saturating_add(1);
    }

    /// What the folder is called; a language model is named after it where nothing else names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets what the folder is called.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// The number of the first file that has a tensor.
    pub(super) fn file_of(&self, tensor: &SafetensorsTensor) -> usize {
        self.names.get(&tensor.name).map_or(0, |(_, file)| *file)
    }

    /// Adds what lies beside the tensors: `config.json`, `tokenizer.json` and the like, by the name in the folder.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), bytes);
    }

    /// The content of a file beside the tensors.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// The files in a folder within the folder, by their names in it.
    pub(super) fn files_under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let files = self.files.iter();
        files.filter_map(move |(name, bytes)| Some((name.strip_prefix(folder)?, bytes.as_slice())))
    }

    /// Refuses weights that are codes: eight-bit floats, and tensors with the scales of others.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`].
    pub fn refuse_codes(&self) -> Result<()> {
        companion::refuse(self)?;
        const CODES: &[TensorType] = &[TensorType::F8_E4M3, TensorType::F8_E5M2];
        let Some(tensor) = self.tensors.iter().find(|tensor| CODES.contains(&tensor.kind)) else { return Ok(()) };
        let message = format!(
            "tensor '{}' is {}, which transformers would not decode. Open the model in F32, F16 or BF16",
            tensor.name, tensor.kind.name
        );
        Err(Error::new(Code::UNSUPPORTED, message).with("tensor", tensor.name.as_str()))
    }

    /// Refuses files that are not those of an index: it names every tensor of theirs, and no other.
    ///
    /// # Errors
    /// [`Code::MALFORMED`].
    pub fn check_index(&self, index: &Index) -> Result<()> {
        let refuse = |message: String, tensor: &str| Err(Error::new(Code::MALFORMED, message).with("tensor", tensor));
        if let Some((tensor, file)) = index.tensors.iter().find(|(tensor, _)| !self.has(tensor)) {
            return refuse(format!("the index has tensor '{tensor}' in '{file}', which does not have it"), tensor);
        }
        let named: HashSet<&str> = index.tensors.iter().map(|(tensor, _)| tensor.as_str()).collect();
        match self.tensors.iter().find(|tensor| !named.contains(tensor.name.as_str())) {
            None => Ok(()),
            Some(SafetensorsTensor { name, .. }) => refuse(
                format!(
                    "the files have tensor '{name}', which the index does not name: the two do not belong together"
                ),
                name,
            ),
        }
    }

    /// The tensors of all files; offsets count through all of them.
    pub fn tensors(&self) -> &[SafetensorsTensor] {
        &self.tensors
    }

    /// `__metadata__` of all files, each key once.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.metadata
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The model as GGUF, its float weights as `float` says; `pre_tokenizer` is what GGUF calls the way a language model's
    /// tokenizer cuts text, where its files do not tell.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for tensors that GGUF cannot hold, [`Code::TOO_LARGE`] for names and shapes beyond its limits;
    /// of a language model also [`Code::MALFORMED`] for what lies beside its tensors.
    pub fn to_gguf(&self, float: Float, pre_tokenizer: Option<&str>) -> Result<Header> {
        match kind::of(self)? {
            Kind::Diffusion(architecture, prefix) => diffusion::header(self, architecture, prefix, float),
            Kind::Language => language::header(self, float, pre_tokenizer),
        }
    }

    /// The model as a plain container, whatever it is: every tensor under its own name.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a tensor that GGUF does not hold.
    pub fn to_plain(&self, float: Float) -> Result<Header> {
        plain::header(self, float)
    }

    /// Bytes that a conversion reads after the last file's end: what no file has, and is computed.
    pub fn generated(&self) -> Vec<u8> {
        if self.files.contains_key("config.json") { language::generated(self) } else { Vec::new() }
    }

    /// Ranges of the files (offset, bytes) that a conversion reads a second time, after what is [`Folder::generated`].
    pub fn repeated(&self) -> Vec<(u64, u64)> {
        if self.files.contains_key("config.json") { language::repeated(self) } else { Vec::new() }
    }
}
