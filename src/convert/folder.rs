//! The files of a safetensors model, and the target they are converted to.

use super::language;
use super::{diffusion, plain};
use crate::container::gguf::{Header, TensorType};
use crate::container::safetensors::{Index, SafetensorsHeader, SafetensorsTensor};
use crate::error::{Code, Error, Result};
use std::collections::{BTreeMap, HashSet};

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
    names: HashSet<String>,
    files: BTreeMap<String, Vec<u8>>,
    /// Where each file of tensors ends.
    ends: Vec<u64>,
    name: String,
}

impl Folder {
    /// Adds the next file.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] for a tensor that an earlier file has too.
    pub fn add(&mut self, header: SafetensorsHeader, file_size: u64) -> Result<()> {
        for mut tensor in header.tensors {
            if !self.names.insert(tensor.name.clone()) {
                let message = format!("tensor '{}' is in two files of the model", tensor.name);
                return Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.name.as_str()));
            }
            tensor.offset = tensor.offset.saturating_add(self.size);
            self.tensors.push(tensor);
        }
        // Files of one model say the same of it: what the first says holds.
        for (key, value) in header.metadata {
            if self.metadata.iter().all(|(known, _)| *known != key) {
                self.metadata.push((key, value));
            }
        }
        self.size = self.size.saturating_add(file_size);
        self.ends.push(self.size);
        Ok(())
    }

    /// What the folder is called; a language model is named after it where nothing else names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets what the folder is called.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// The number of the file a tensor is in.
    pub(super) fn file_of(&self, tensor: &SafetensorsTensor) -> usize {
        self.ends.partition_point(|end| *end <= tensor.offset)
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

    /// Refuses files that are not those of an index: every tensor it names must be there.
    ///
    /// # Errors
    /// [`Code::MALFORMED`].
    pub fn check_index(&self, index: &Index) -> Result<()> {
        let Some((tensor, file)) = index.tensors.iter().find(|(tensor, _)| !self.has(tensor)) else { return Ok(()) };
        let message = format!("the index has tensor '{tensor}' in '{file}', which does not have it");
        Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.as_str()).with("file", file.as_str()))
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
        self.names.contains(name)
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
        match diffusion::Architecture::of(self)? {
            Some((architecture, prefix)) => diffusion::header(self, architecture, prefix, float),
            None => match self.language_model() {
                Some(tensor) => self.language_to_gguf(tensor, float, pre_tokenizer),
                None => plain::header(self, float),
            },
        }
    }

    /// Bytes that a conversion reads after the last file's end: what no file has, and is computed.
    pub fn generated(&self) -> Vec<u8> {
        if self.files.contains_key("config.json") { language::generated(self) } else { Vec::new() }
    }

    /// Ranges of the files (offset, bytes) that a conversion reads a second time, after what is [`Folder::generated`].
    pub fn repeated(&self) -> Vec<(u64, u64)> {
        if self.files.contains_key("config.json") { language::repeated(self) } else { Vec::new() }
    }

    /// A language model needs its tokenizer and its parameters: as plain tensors no program could run it.
    fn language_to_gguf(&self, tensor: &str, float: Float, pre_tokenizer: Option<&str>) -> Result<Header> {
        if self.files.contains_key("config.json") {
            return language::header(self, float, pre_tokenizer);
        }
        let message = format!(
            "this is a language model (tensor '{tensor}'), whose config.json and tokenizer are needed too: open its folder"
        );
        Err(Error::new(Code::UNSUPPORTED, message).with("tensor", tensor))
    }

    /// The name of a tensor that only language models have.
    fn language_model(&self) -> Option<&str> {
        const PARTS: &[&str] = &["layers.0.self_attn.", "encoder.layer.0.attention.", "h.0.attn.", "layers.0.mlp."];
        let mut names = self.tensors.iter().map(|tensor| tensor.name.as_str());
        names.find(|name| PARTS.iter().any(|part| name.contains(part)))
    }
}
