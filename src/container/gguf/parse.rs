//! Parses the bytes of a GGUF file to a [`Header`].

use super::header::{Header, Pair, Tensor};
use super::limits::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAGIC, MAX_ALIGNMENT, MAX_HEADER_BYTES, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_PAIRS,
    MAX_READ_DIMS, MAX_TENSORS, align,
};
use super::tensor_type::TensorType;
use super::value::{ValueType, read, read_string};
use crate::container::reader::{Read, Reader, Stop};
use crate::error::{Code, Error, Result};
use crate::interning::{Interner, Name};
use crate::sort::sorted;
use std::collections::HashSet;

/// The result of [`parse`].
#[derive(Clone, Debug)]
pub enum Parsed {
    /// The whole header.
    Header(Box<Header>),
    /// The header is longer: call again with this many bytes from the start of the file.
    ///
    /// This is more than was given and at most the file's size. It is at least twice what was given if the file is that
    /// long, so a header of any size takes only a few reads.
    NeedsMore(u64),
}

/// Parses the header of a file of `file_size` bytes from its first bytes.
///
/// # Errors
/// - [`Code::MAGIC`]: not a GGUF file.
/// - [`Code::UNSUPPORTED`]: version 1 or later than 3, big-endian, or a removed or unknown tensor type.
/// - [`Code::TRUNCATED`]: the file ends inside the header or inside a tensor.
/// - [`Code::TOO_LARGE`]: one of the `MAX_*` limits is exceeded.
/// - [`Code::MALFORMED`]: a duplicate name, a dimension of zero, a row that is not a multiple of the block size, an
///   offset that is misaligned or overlaps another tensor.
pub fn parse(prefix: &[u8], file_size: u64) -> Result<Parsed> {
    let mut parser = Parser::new(file_size);
    loop {
        match parser.step(prefix, u64::MAX)? {
            Step::Header(header) => return Ok(Parsed::Header(header)),
            Step::NeedsMore(needed) => return Ok(Parsed::NeedsMore(needed)),
            Step::Paused => {}
        }
    }
}

/// The result of [`Parser::step`].
#[derive(Clone, Debug)]
pub enum Step {
    /// The whole header. The parser is used up.
    Header(Box<Header>),
    /// See [`Parsed::NeedsMore`]; what was read so far is kept.
    NeedsMore(u64),
    /// There is more to do with the same bytes.
    Paused,
}

/// Parses a header in steps of bounded work, and continues where it stopped when more of the file is there.
#[derive(Debug)]
pub struct Parser {
    file_size: u64,
    stage: Stage,
    /// The bytes that are read.
    at: usize,
    pair_count: u64,
    tensor_count: u64,
    keys: HashSet<String>,
    names: HashSet<Name>,
    shapes: Interner<[u64]>,
    /// The start of the tensor records.
    records: usize,
    header: Header,
}

/// What a [`Parser`] reads next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Start,
    Pairs,
    Tensors,
    Places,
}

impl Parser {
    /// A parser for a file of `file_size` bytes.
    pub fn new(file_size: u64) -> Parser {
        let header = Header {
            bytes: Vec::new(),
            version: 0,
            alignment: DEFAULT_ALIGNMENT,
            file_size,
            data_start: 0,
            pairs: Vec::new(),
            tensors: Vec::new(),
            shards: Vec::new(),
        };
        Parser {
            file_size,
            stage: Stage::Start,
            at: 0,
            pair_count: 0,
            tensor_count: 0,
            keys: HashSet::new(),
            names: HashSet::new(),
            shapes: Interner::default(),
            records: 0,
            header,
        }
    }

    /// Continues with the first bytes of the file, which begin with those of the previous step. Reads the metadata, or at
    /// most `most` tensor records, or checks where the tensors are.
    ///
    /// # Errors
    /// As [`parse`]. The parser is used up.
    pub fn step(&mut self, prefix: &[u8], most: u64) -> Result<Step> {
        let given = usize::try_from(self.file_size).map_or(prefix.len(), |size| size.min(prefix.len()));
        let prefix = prefix.get(..given).unwrap_or(prefix);
        match self.advance(prefix, most) {
            Ok(step) => Ok(step),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::More(needed)) => {
                let comfortable = (given as u64).saturating_mul(2).min(self.file_size);
                Ok(Step::NeedsMore(needed.max(comfortable)))
            }
        }
    }

    fn advance(&mut self, prefix: &[u8], most: u64) -> Read<Step> {
        let mut reader = Reader::new(prefix, self.file_size, MAX_HEADER_BYTES, "the file's first bytes");
        reader.take(self.at as u64)?;
        match self.stage {
            Stage::Start => {
                self.start(prefix, &mut reader)?;
                self.pairs(prefix, &mut reader)?;
            }
            Stage::Pairs => self.pairs(prefix, &mut reader)?,
            Stage::Tensors => self.tensors(prefix, &mut reader, most)?,
            Stage::Places => {
                place(&mut self.header)?;
                let done = std::mem::replace(self, Parser::new(self.file_size));
                return Ok(Step::Header(Box::new(done.header)));
            }
        }
        Ok(Step::Paused)
    }

    fn start(&mut self, prefix: &[u8], reader: &mut Reader) -> Read<()> {
        check_magic(prefix, self.file_size)?;
        reader.take(MAGIC.len() as u64)?;
        self.header.version = reader.u32()?;
        check_version(self.header.version)?;
        self.tensor_count = count(reader.u64()?, MAX_TENSORS, "tensors")?;
        self.pair_count = count(reader.u64()?, MAX_PAIRS, "metadata pairs")?;
        self.at = reader.position();
        self.stage = Stage::Pairs;
        Ok(())
    }

    fn pairs(&mut self, prefix: &[u8], reader: &mut Reader) -> Read<()> {
        reader.place = "the metadata";
        while (self.header.pairs.len() as u64) < self.pair_count {
            let pair = pair(reader, self.header.pairs.len() as u64)?;
            if !self.keys.insert(pair.key.clone()) {
                return Err(twice("metadata key", &pair.key).into());
            }
            self.header.pairs.push(pair);
            self.at = reader.position();
        }
        self.keys = HashSet::new();
        self.header.bytes = prefix.get(..self.at).unwrap_or(prefix).to_vec();
        self.header.alignment = check_alignment(&self.header)?;
        self.records = self.at;
        self.stage = Stage::Tensors;
        Ok(())
    }

    fn tensors(&mut self, prefix: &[u8], reader: &mut Reader, most: u64) -> Read<()> {
        reader.place = "the list of tensors";
        let done = self.header.tensors.len() as u64;
        let left = self.tensor_count.saturating_sub(done);
        // At most as many records as fit into the bytes that are there.
        let held = prefix.len().saturating_sub(self.at).checked_div(MIN_RECORD_BYTES).unwrap_or(0);
        let expected = held.min(usize::try_from(left).unwrap_or(held));
        self.header.tensors.reserve_exact(expected);
        self.names.reserve(expected);
        for index in done..done.saturating_add(left.min(most)) {
            let tensor = record(reader, &mut self.shapes).map_err(|stop| match stop {
                Stop::More(needed) => {
                    let all = estimate(self.records, reader, index, self.tensor_count);
                    Stop::More(needed.max(all.min(self.file_size)))
                }
                failed => failed,
            })?;
            if !self.names.insert(tensor.name.clone()) {
                return Err(twice("tensor", &tensor.name).into());
            }
            self.header.tensors.push(tensor);
            self.at = reader.position();
        }
        if left > most {
            return Ok(());
        }
        (self.names, self.shapes) = (HashSet::new(), Interner::default());
        self.header.data_start = align(self.at as u64, self.header.alignment);
        self.stage = Stage::Places;
        Ok(())
    }
}

/// Magic bytes of files that are often mistaken for GGUF.
const STRANGERS: &[(&[u8], &str)] = &[
    (b"lmgg", "a GGML file from before GGUF"),
    (b"fmgg", "a GGMF file from before GGUF"),
    (b"tjgg", "a GGJT file from before GGUF"),
    (b"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint"),
    (b"\x80\x02", "a Python pickle"),
    (b"<", "a web page or XML"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
];

/// An estimate of the header's size, which assumes that the missing records are as long as those already read. It only
/// saves reads, so it is limited: a file may claim any number of records.
fn estimate(start: usize, reader: &Reader, done: u64, count: u64) -> u64 {
    const LIMIT: u64 = 64 << 20;
    let read = (reader.position() as u64).saturating_sub(start as u64);
    let all = read.saturating_mul(count).checked_div(done).unwrap_or(0);
    (start as u64).saturating_add(all).saturating_add(all >> 5).min(LIMIT)
}

/// The minimum size of a tensor record: lengths and numbers, a name of one byte, zero dimensions.
const MIN_RECORD_BYTES: usize = 8 + 1 + 4 + 4 + 8;

fn check_magic(prefix: &[u8], file_size: u64) -> Result<()> {
    let known = prefix.len().min(MAGIC.len());
    if prefix.get(..known) == MAGIC.get(..known) {
        return Ok(()); // a file that is too short fails when it is read
    }
    let stranger = STRANGERS.iter().find(|(magic, _)| prefix.starts_with(magic));
    let what = stranger.map_or(String::new(), |(_, what)| format!("; it looks like {what}"));
    let start = prefix.get(..known).unwrap_or(prefix);
    let message = format!("this is not a GGUF file: it begins with {start:02x?}, not with 'GGUF'{what}");
    Err(Error::new(Code::MAGIC, message).with("size", file_size))
}

fn check_version(version: u32) -> Result<()> {
    let message = match version {
        2 | 3 => return Ok(()),
        1 => "GGUF version 1 (obsolete since 2023) is not supported; convert the model again with a current llama.cpp"
            .to_owned(),
        _ if version & 0xffff == 0 => {
            let swapped = version.swap_bytes();
            format!("this is a big-endian GGUF file (version {swapped}); only little-endian files are supported")
        }
        _ => format!("GGUF version {version} is not supported, only 2 and 3"),
    };
    Err(Error::new(Code::UNSUPPORTED, message).with("version", version))
}

fn count(claimed: u64, limit: u64, what: &str) -> Result<u64> {
    if claimed <= limit {
        return Ok(claimed);
    }
    let message = format!("the file claims {claimed} {what}; the limit is {limit}");
    Err(Error::new(Code::TOO_LARGE, message).with("count", claimed).with("limit", limit))
}

fn twice(what: &str, name: &str) -> Error {
    Error::new(Code::MALFORMED, format!("{what} '{name}' occurs twice in the file")).with("name", name)
}

fn pair(reader: &mut Reader, index: u64) -> Read<Pair> {
    let start = reader.position();
    let key = text(read_string(reader, MAX_KEY_BYTES, "a metadata key")?, "metadata key", index)?;
    let value_type = reader.u32()?;
    let value_type = ValueType::by_id(value_type).map_err(|error| error.within(&format!("metadata '{key}'")))?;
    let value = reader.position();
    match read(reader, value_type, 0) {
        Err(Stop::Failed(error)) => return Err(error.within(&format!("metadata '{key}'")).into()),
        other => other?,
    };
    let end = reader.position();
    Ok(Pair { key: key.to_owned(), value_type, whole: start..end, value: value..end })
}

fn text<'a>(bytes: &'a [u8], what: &str, index: u64) -> Result<&'a str> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        let message = format!("{what} {index} is empty or not UTF-8");
        Error::new(Code::MALFORMED, message).with("index", index)
    })
}

fn check_alignment(header: &Header) -> Result<u32> {
    let bad = |message: String| Err(Error::new(Code::MALFORMED, message).with("key", ALIGNMENT_KEY));
    match header.stated_alignment() {
        Err(other) => bad(format!("{ALIGNMENT_KEY} must be a uint32, but has type {}", other.value_type().name)),
        Ok(alignment) if !alignment.is_power_of_two() => {
            bad(format!("{ALIGNMENT_KEY} is {alignment}, but must be a power of two"))
        }
        Ok(alignment) => match u32::try_from(alignment) {
            Ok(alignment) if alignment <= MAX_ALIGNMENT => Ok(alignment),
            _ => {
                let message = format!("{ALIGNMENT_KEY} is {alignment}; the limit is {MAX_ALIGNMENT}");
                Err(Error::new(Code::TOO_LARGE, message).with("limit", MAX_ALIGNMENT))
            }
        },
    }
}

fn record(reader: &mut Reader, shapes: &mut Interner<[u64]>) -> Read<Tensor> {
    let name = text(read_string(reader, MAX_NAME_BYTES, "a tensor's name")?, "a tensor's name, at byte", {
        reader.position() as u64
    })?;
    match rest_of_record(reader, name, shapes) {
        Err(Stop::Failed(error)) => Err(error.within(&format!("tensor '{name}'")).into()),
        other => other,
    }
}

/// Everything after the name.
fn rest_of_record(reader: &mut Reader, name: &str, shapes: &mut Interner<[u64]>) -> Read<Tensor> {
    let dims = reader.u32()?;
    if dims > MAX_READ_DIMS {
        let message = format!("it claims {dims} dimensions; the limit is {MAX_READ_DIMS}");
        return Err(Error::new(Code::TOO_LARGE, message).with("dimensions", dims).into());
    }
    let mut dimensions = [1; MAX_READ_DIMS as usize];
    // Without dimensions there is one weight: ggml treats it as a scalar.
    let (shape, _) = dimensions.split_at_mut(dims.max(1) as usize);
    for n in shape.iter_mut().take(dims as usize) {
        *n = reader.u64()?;
    }
    let dtype = TensorType::by_id(reader.u32()?)?;
    let offset = reader.u64()?;
    let bytes = size(shape, dtype)?;
    let (name, shape) = (Name::from(name), shapes.intern(shape));
    Ok(Tensor { name, shape, dtype, stored_dtype: dtype, permuted_head_rows: 0, offset, bytes })
}

fn size(shape: &[u64], dtype: TensorType) -> Result<u64> {
    let malformed = |message: String| Error::new(Code::MALFORMED, message);
    let row = shape.first().copied().unwrap_or(1);
    if shape.contains(&0) {
        return Err(malformed(format!("its shape {shape:?} has a dimension of 0")));
    }
    if !row.is_multiple_of(dtype.weights) {
        let message = format!(
            "{} has blocks of {} weights, but rows of {row} are not a multiple of that",
            dtype.name, dtype.weights
        );
        return Err(malformed(message));
    }
    let weights = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n));
    // ggml counts in i64, and so does every program that could read the file.
    weights.and_then(|weights| dtype.size_of(weights)).filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(|| {
        let message = format!("its shape {shape:?} has more weights than a file can hold");
        Error::new(Code::TOO_LARGE, message)
    })
}

/// Converts offsets to absolute ones and rejects tensors that are misaligned, beyond the end of the file, or
/// overlapping.
fn place(header: &mut Header) -> Result<()> {
    let (start, alignment, size) = (header.data_start, u64::from(header.alignment), header.file_size);
    for tensor in &mut header.tensors {
        let Tensor { name, offset, bytes, .. } = tensor;
        if !offset.is_multiple_of(alignment) {
            let message = format!("tensor '{name}' is at offset {offset}, which is not a multiple of {alignment}");
            return Err(Error::new(Code::MALFORMED, message).with("tensor", name.as_str()).with("offset", *offset));
        }
        let absolute = start.saturating_add(*offset);
        let end = absolute.saturating_add(*bytes);
        if end > size {
            let message = format!("tensor '{name}' ends at byte {end}, but the file has only {size} bytes");
            let error = Error::new(Code::TRUNCATED, message).with("tensor", name.as_str());
            return Err(error.with("size", size).with("needed", end));
        }
        *offset = absolute;
    }
    if header.tensors.is_sorted_by_key(|tensor| tensor.offset) {
        return check_gaps(header.tensors.iter());
    }
    let tensors: Vec<&Tensor> = header.tensors.iter().collect();
    let order = sorted(&tensors, |a, b| a.offset.cmp(&b.offset));
    check_gaps(order.into_iter())
}

/// Rejects overlapping tensors, given in the order of their offsets.
fn check_gaps<'a>(order: impl Iterator<Item = &'a Tensor> + Clone) -> Result<()> {
    for (left, right) in order.clone().zip(order.skip(1)) {
        if left.offset.saturating_add(left.bytes) > right.offset {
            let message = format!("tensors '{}' and '{}' overlap in the file", left.name, right.name);
            return Err(Error::new(Code::MALFORMED, message).with("tensor", right.name.as_str()));
        }
    }
    Ok(())
}
