//! The files that a plan writes: one, as many as the input has, or as few as a maximum size allows.
//!
//! Source: llama.cpp `src/llama-quant.cpp` (`keep_split`) and `tools/gguf-split/gguf-split.cpp` (`--split-max-size`).

use super::metadata::OutputMetadata;
use super::options::Recipe;
use super::plan::{Plan, PlannedTensor, Shard};
use crate::container::gguf::{DEFAULT_ALIGNMENT, Header, HeaderWriter, Record, SPLIT_KEYS, Value, encode_pair};
use crate::error::{Code, Error, Result};

/// Maximum number of files of a model. Names have five digits, and no model has nearly this many.
const MAX_SHARDS: usize = 4096;

/// The number of tensors in each file, and the order of the split metadata (indices of [`SPLIT_KEYS`]).
#[derive(Debug)]
pub(super) struct Split {
    counts: Vec<usize>,
    keys: &'static [usize],
}

impl Split {
    /// Divides the tensors, given in output order, as requested by the recipe.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for two contradicting options or if pruning leaves a shard without tensors, [`Code::RANGE`]
    /// for a maximum size of 0, [`Code::TOO_LARGE`] for too many files.
    pub fn of(recipe: &Recipe, header: &Header, tensors: &[PlannedTensor]) -> Result<Split> {
        let split = match (recipe.keep_split, recipe.split_max_size) {
            (true, Some(_)) => {
                return Err(Error::new(Code::ARGUMENT, "keepSplit and splitMaxSize cannot be used together"));
            }
            (_, Some(0)) => return Err(Error::new(Code::RANGE, "splitMaxSize must be more than 0")),
            (true, None) => kept(header, tensors)?,
            (false, Some(most)) => by_size(most, tensors),
            (false, None) => Split { counts: vec![tensors.len()], keys: &[] },
        };
        let count = split.counts.len();
        if count > MAX_SHARDS {
            let message = format!("the model would be written to {count} files; the limit is {MAX_SHARDS}");
            return Err(Error::new(Code::TOO_LARGE, message).with("count", count).with("limit", MAX_SHARDS));
        }
        Ok(split)
    }
}

/// Writes the headers of a plan's files record by record, and with them the positions of the tensors.
#[derive(Debug)]
pub(super) struct SplitWriter {
    split: Split,
    pairs: OutputMetadata,
    tensors: Vec<PlannedTensor>,
    shards: Vec<Shard>,
    /// The file that is being written, and the index of its first tensor.
    writer: Option<HeaderWriter>,
    first: usize,
    /// The index of the next tensor.
    next: usize,
}

impl SplitWriter {
    /// A writer for `tensors` in output order, whose positions are still missing.
    pub fn new(split: Split, pairs: OutputMetadata, tensors: Vec<PlannedTensor>) -> Self {
        let shards = Vec::with_capacity(split.counts.len());
        SplitWriter { split, pairs, tensors, shards, writer: None, first: 0, next: 0 }
    }

    /// Writes the records of at most `most` tensors, or begins or ends a file. Returns the number of records, and the
    /// plan once it is complete, with positions relative to the start of the first file.
    ///
    /// # Errors
    /// As for [`write_header`](crate::container::gguf::write_header); [`Code::TOO_LARGE`] for a total size above 2^63.
    pub fn step(&mut self, most: usize) -> Result<(usize, Option<Plan>)> {
        let Some(count) = self.split.counts.get(self.shards.len()).copied() else {
            return Ok((0, Some(self.finish()?)));
        };
        let end = self.first.saturating_add(count);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let begun = self.begin(count);
                self.writer.insert(begun)
            }
        };
        let records = most.min(end.saturating_sub(self.next));
        for tensor in self.tensors.iter_mut().skip(self.next).take(records) {
            tensor.place = writer.add(&record(tensor))?;
        }
        self.next = self.next.saturating_add(records);
        if self.next == end
            && let Some(writer) = self.writer.take()
        {
            let (header, size) = writer.finish()?;
            let offset = self.shards.last().map_or(0, Shard::end);
            let start = offset.saturating_add(header.len() as u64);
            for tensor in self.tensors.iter_mut().skip(self.first).take(count) {
                tensor.place.offset = tensor.place.offset.saturating_add(start);
            }
            self.shards.push(Shard { header, offset, size });
            self.first = end;
        }
        Ok((records, None))
    }

    /// The number of tensors whose records are written.
    #[cfg(test)]
    pub fn written(&self) -> usize {
        self.next
    }

    /// The writer of the next file, which has `count` tensors.
    fn begin(&self, count: usize) -> HeaderWriter {
        let (number, files) = (self.shards.len(), self.split.counts.len());
        let total = i32::try_from(self.tensors.len()).unwrap_or(i32::MAX);
        let values = [Value::U16(number as u16), Value::U16(files as u16), Value::I32(total)];
        let split = self.split.keys.iter().map(|key| (SPLIT_KEYS[*key], &values[*key]));
        let raw: Vec<Vec<u8>> = if number == 0 {
            self.pairs.and(split)
        } else {
            split.map(|(key, value)| encode_pair(key, value)).collect()
        };
        let alignment = if number == 0 { self.pairs.alignment } else { DEFAULT_ALIGNMENT };
        let tensors = self.tensors.get(self.first..self.first.saturating_add(count)).unwrap_or_default();
        HeaderWriter::new(&raw, tensors.iter().map(record), alignment)
    }

    fn finish(&mut self) -> Result<Plan> {
        let (shards, tensors) = (std::mem::take(&mut self.shards), std::mem::take(&mut self.tensors));
        let size = shards.last().map_or(0, Shard::end);
        if i64::try_from(size).is_err() {
            let message = format!("the files would have {size} bytes in total");
            return Err(Error::new(Code::TOO_LARGE, message).with("size", size));
        }
        Ok(Plan { shards, tensors, size, bnb: None, importance: None })
    }
}

fn record(tensor: &PlannedTensor) -> Record<'_> {
    Record { name: &tensor.name, shape: &tensor.shape, dtype: tensor.to }
}

/// Keeps each tensor in the shard it was read from; the first may have none.
fn kept(header: &Header, tensors: &[PlannedTensor]) -> Result<Split> {
    let mut counts = vec![0usize];
    for tensor in tensors {
        let shard = header.shard_of(tensor.source_offset);
        counts.resize(counts.len().max(shard + 1), 0);
        counts[shard] += 1;
    }
    if let Some(empty) = counts.iter().skip(1).position(|count| *count == 0) {
        let message = format!("pruning layers would leave shard {} without tensors", empty + 2);
        return Err(Error::new(Code::ARGUMENT, message).with("shard", empty + 2));
    }
    // A single file has no split metadata.
    let keys: &[usize] = if counts.len() > 1 { &[0, 1, 2] } else { &[] };
    Ok(Split { counts, keys })
}

/// Fills each file, in tensor order, up to `most` bytes; a tensor larger than that gets its own file. Padding counts,
/// headers do not.
fn by_size(most: u64, tensors: &[PlannedTensor]) -> Split {
    let mut counts = vec![0usize];
    let mut size = 0u64;
    for tensor in tensors {
        let bytes = tensor.target_bytes().checked_next_multiple_of(DEFAULT_ALIGNMENT.into()).unwrap_or(u64::MAX);
        size = size.saturating_add(bytes);
        match counts.last_mut() {
            Some(count) if size <= most || *count == 0 => *count += 1,
            _ => {
                counts.push(1);
                size = bytes;
            }
        }
    }
    // The count is set last, when the number of files is known.
    Split { counts, keys: &[0, 2, 1] }
}
