//! Models split into several files by `llama-gguf-split`: the metadata is in the first file, the tensors are in all of
//! them.
//!
//! ```text
//! split.no             u16   number of this shard, from 0
//! split.count          u16   number of shards
//! split.tensors.count  i32   number of tensors in all shards
//! ```
//!
//! Source: llama.cpp `tools/gguf-split/gguf-split.cpp` and `src/llama-model-loader.cpp`.

use super::header::Header;
use super::limits::MAX_TENSORS;
use crate::error::{Code, Error, Result};
use crate::interning::Name;
use std::collections::HashMap;

/// The keys of a shard's split metadata, in the order `llama-quantize` writes them.
pub const SPLIT_KEYS: [&str; 3] = ["split.no", "split.count", "split.tensors.count"];

/// Keys that must be the same in all shards that have them. `llama-gguf-split` writes them to the first shard only;
/// other tools copy some of them to all.
const SHARED_KEYS: [&str; 4] =
    ["general.architecture", "general.file_type", "general.quantization_version", "general.uuid"];

impl Header {
    /// The number of shards of the model according to this file; 1 for a model in one file.
    pub fn split_count(&self) -> u64 {
        self.split_value(1).unwrap_or(1).max(1)
    }

    /// The number of this shard according to the file, from 0.
    pub fn split_number(&self) -> u64 {
        self.split_value(0).unwrap_or(0)
    }

    /// The number of tensors in all shards according to this file.
    fn split_tensors(&self) -> Option<u64> {
        self.split_value(2)
    }

    fn split_value(&self, index: usize) -> Option<u64> {
        self.get(SPLIT_KEYS.get(index)?)?.as_u64()
    }

    /// The start of each shard in the concatenation of all files; empty for a model in one file.
    pub fn shards(&self) -> &[u64] {
        &self.shards
    }

    /// The number of the shard, from 0, that contains `offset`.
    pub fn shard_of(&self, offset: u64) -> usize {
        self.shards.partition_point(|start| *start <= offset).saturating_sub(1)
    }
}

/// Joins the headers of a model's shards, given in order. The result has the metadata of the first shard and the
/// tensors of all; tensor offsets are relative to the concatenation of the files.
///
/// # Errors
/// - [`Code::ARGUMENT`]: a shard is missing, is given twice, or belongs to another model.
/// - [`Code::MALFORMED`]: two shards have a tensor of the same name, or the number of tensors differs from what they
///   state.
/// - [`Code::TOO_LARGE`]: there are more than [`MAX_TENSORS`] tensors.
/// - [`Code::NO_DATA`]: no files were given.
pub fn join(shards: Vec<Header>) -> Result<Header> {
    let given = shards.len() as u64;
    let mut shards = shards.into_iter();
    let Some(mut whole) = shards.next() else { return Err(Error::new(Code::NO_DATA, "there are no files to join")) };
    check_number(&whole, 0, given, &whole)?;
    let mut starts = vec![0];
    let mut owners: HashMap<Name, u64> = whole.tensors.iter().map(|tensor| (tensor.name.clone(), 1)).collect();
    for (number, shard) in (1..).zip(shards) {
        check_number(&shard, number, given, &whole)?;
        let start = whole.file_size;
        for mut tensor in shard.tensors {
            let mine = number.saturating_add(1);
            if let Some(other) = owners.insert(tensor.name.clone(), mine) {
                let message = format!("tensor '{}' is in shard {other} and in shard {mine}", tensor.name);
                return Err(Error::new(Code::MALFORMED, message).with("tensor", tensor.name.as_str()));
            }
            tensor.offset = tensor.offset.saturating_add(start);
            whole.tensors.push(tensor);
        }
        starts.push(start);
        whole.file_size = start.saturating_add(shard.file_size);
    }
    let (count, stated) = (whole.tensors.len() as u64, whole.split_tensors());
    if count > MAX_TENSORS {
        let message = format!("the shards have {count} tensors; the limit is {MAX_TENSORS}");
        return Err(Error::new(Code::TOO_LARGE, message).with("count", count).with("limit", MAX_TENSORS));
    }
    if let Some(stated) = stated.filter(|stated| *stated != count) {
        let message = format!("the shards have {count} tensors in total, but their metadata states {stated}");
        return Err(Error::new(Code::MALFORMED, message).with("actual", count).with("expected", stated));
    }
    whole.shards = starts;
    Ok(whole)
}

/// Checks that a file is shard `number` of a model with `given` shards.
fn check_number(shard: &Header, number: u64, given: u64, first: &Header) -> Result<()> {
    let (count, found) = (shard.split_count(), shard.split_number());
    let wrong = |message: String| {
        let error = Error::new(Code::ARGUMENT, message).with("shard", found.saturating_add(1));
        Err(error.with("shards", count).with("given", given))
    };
    if count == 1 && given > 1 {
        return wrong(format!("{given} files are given, but one of them is a whole model, not a shard"));
    }
    if count != first.split_count() || shard.split_tensors() != first.split_tensors() {
        let (mine, total) = (found.saturating_add(1), first.split_count());
        return wrong(format!(
            "shard {mine} of {count} does not belong to the same model as the first shard (of {total})"
        ));
    }
    let differs = |key: &&str| matches!((shard.get(key), first.get(key)), (Some(mine), Some(other)) if mine != other);
    if let Some(key) = SHARED_KEYS.iter().copied().find(differs) {
        let mine = found.saturating_add(1);
        return wrong(format!(
            "shard {mine} of {count} does not belong to the same model as the first shard: their {key} differs"
        ));
    }
    if found >= count {
        let message = format!("a shard's number (from 0) is {found}, but there are only {count} shards");
        return Err(Error::new(Code::MALFORMED, message).with("shard", found).with("shards", count));
    }
    if found < number {
        return wrong(format!("shard {} of {count} is given twice", found.saturating_add(1)));
    }
    if found > number || given < count && number.saturating_add(1) == given {
        let missing = if found > number { number } else { given };
        return wrong(format!("shard {} of {count} is missing", missing.saturating_add(1)));
    }
    Ok(())
}
