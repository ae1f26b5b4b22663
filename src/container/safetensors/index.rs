//! `model.safetensors.index.json`: which tensor is in which file.

use crate::container::check_sidecar_name;
use crate::error::{Code, Error, Result};
use crate::json::{self, Value};
use crate::sort::sorted;

/// The files of a model and the tensors in them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Index {
    /// The file names, without duplicates, sorted.
    pub files: Vec<String>,
    /// Pairs of tensor name and file name, in the order of the index.
    pub tensors: Vec<(String, String)>,
}

/// Parses an index.
///
/// # Errors
/// [`Code::MALFORMED`] for an invalid index, and for a file name that [`check_sidecar_name`] rejects.
pub fn parse_index(text: &[u8]) -> Result<Index> {
    let malformed = |message: String| Error::new(Code::MALFORMED, message);
    let mut map = None;
    json::each_member(text, "the index", &mut |name, value| {
        if name == "weight_map" {
            map = Some(value);
        }
        Ok(())
    })?;
    let Some(Value::Object(map)) = map else { return Err(malformed("the index has no weight_map".to_owned())) };
    let mut tensors = Vec::with_capacity(map.len());
    for (tensor, file) in map {
        let Value::Text(name) = file else {
            let message = format!("the index does not name the file of tensor '{tensor}': the value must be a string");
            return Err(malformed(message).with("tensor", tensor.as_str()));
        };
        check_sidecar_name("the index", &name).map_err(|error| error.with("tensor", tensor.as_str()))?;
        tensors.push((tensor, name));
    }
    let files: Vec<&String> = tensors.iter().map(|(_, file)| file).collect();
    let mut files: Vec<String> = sorted(&files, Ord::cmp).into_iter().cloned().collect();
    files.dedup();
    if files.is_empty() {
        return Err(malformed("the index contains no tensors".to_owned()));
    }
    Ok(Index { files, tensors })
}
