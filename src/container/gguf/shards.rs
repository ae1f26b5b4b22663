//! A model in several files, as `llama-gguf-split` writes them: the metadata is in the first, the tensors are in all.
//!
//! ```text
//! split.no             u16   which shard this is, from 0
//! split.count          u16   how many there are
//! split.tensors.count  i32   tensors of all shards together
//! ```
//!
//! Source: llama.cpp `tools/gguf-split/gguf-split.cpp` and `src/llama-model-loader.cpp`.

use super::{Header, MAX_TENSORS};
use crate::error::{Code, Error, Result};
use std::collections::HashMap;

/// The keys that say which shard a file is, in the order `llama-quantize` writes them.
pub const SPLIT_KEYS: [&str; 3] = ["split.no", "split.count", "split.tensors.count"];

/// Keys that no two shards of one model state differently. `llama-gguf-split` writes them only to the first shard; others
/// copy some to all.
const SHARED_KEYS: [&str; 4] =
    ["general.architecture", "general.file_type", "general.quantization_version", "general.uuid"];

impl Header {
    /// How many shards this file says the model has: 1 for a whole one.
    pub fn split_count(&self) -> u64 {
        self.split_value(1).unwrap_or(1).max(1)
    }

    /// Which shard this file says it is, from 0.
    pub fn split_number(&self) -> u64 {
        self.split_value(0).unwrap_or(0)
    }

    /// How many tensors this file says all shards have together.
    fn split_tensors(&self) -> Option<u64> {
        self.split_value(2)
    }

    fn split_value(&self, index: usize) -> Option<u64> {
        self.get(SPLIT_KEYS.get(index)?)?.as_u64()
    }

    /// Where each shard begins among the bytes of all: empty for a model in one file.
    pub fn shards(&self) -> &[u64] {
        &self.shards
    }

    /// The shard, from 0, whose bytes begin at or before `offset`.
    pub fn shard_of(&self, offset: u64) -> usize {
        self.shards.partition_point(|start| *start <= offset).saturating_sub(1)
    }
}

/// One header of a model in several files, which are given in the order of their numbers: the first one's metadata, and the
/// tensors of all, whose offsets count through the files end to end.
///
/// # Errors
/// - [`Code::ARGUMENT`]: a shard is missing, is there twice, or is of another model.
/// - [`Code::MALFORMED`]: two shards have a tensor of the same name, or there are not as many tensors as they say.
/// - [`Code::TOO_LARGE`]: more tensors than a model may have.
/// - [`Code::NO_DATA`]: no files at all.
pub fn join(shards: Vec<Header>) -> Result<Header> {
    let given = shards.len() as u64;
    let mut shards = shards.into_iter();
    let Some(mut whole) = shards.next() else { return Err(Error::new(Code::NO_DATA, "there are no files to join")) };
    check_number(&whole, 0, given, &whole)?;
    let mut starts = vec![0];
    let mut owners: HashMap<String, u64> = whole.tensors.iter().map(|tensor| (tensor.name.clone(), 1)).collect();
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
        let message = format!("the shards have {count} tensors, and {MAX_TENSORS} is the limit");
        return Err(Error::new(Code::TOO_LARGE, message).with("count", count).with("limit", MAX_TENSORS));
    }
    if let Some(stated) = stated.filter(|stated| *stated != count) {
        let message = format!("the shards have {count} tensors in all, and they state {stated}");
        return Err(Error::new(Code::MALFORMED, message).with("actual", count).with("expected", stated));
    }
    whole.shards = starts;
    Ok(whole)
}

/// Whether a file is the shard of this number of a model in as many files as were `given`.
fn check_number(shard: &Header, number: u64, given: u64, first: &Header) -> Result<()> {
    let (count, found) = (shard.split_count(), shard.split_number());
    let wrong = |message: String| {
        let error = Error::new(Code::ARGUMENT, message).with("shard", found.saturating_add(1));
        Err(error.with("shards", count).with("given", given))
    };
    if count == 1 && given > 1 {
        return wrong(format!("{given} files are given, and one of them is a whole model, not a shard"));
    }
    if count != first.split_count() || shard.split_tensors() != first.split_tensors() {
        let (mine, total) = (found.saturating_add(1), first.split_count());
        return wrong(format!("shard {mine} of {count} is of another model than the first of {total}"));
    }
    let differs = |key: &&str| matches!((shard.get(key), first.get(key)), (Some(mine), Some(other)) if mine != other);
    if let Some(key) = SHARED_KEYS.iter().copied().find(differs) {
        let mine = found.saturating_add(1);
        return wrong(format!("shard {mine} of {count} is of another model than the first: each states another {key}"));
    }
    if found >= count {
        let message = format!("a shard says it is number {found}, counted from 0, of {count}");
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
