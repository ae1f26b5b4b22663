//! A cursor over the bytes that are there, which tells "read more of the file" from "the file ends here".

use crate::error::{Code, Error};

/// Why reading stopped before it was done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The file goes on; so many of its first bytes are needed.
    More(u64),
    /// It cannot be read.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// `Result` of a read that may have to wait for more bytes.
pub(crate) type Read<T> = Result<T, Stop>;

/// A cursor over a file's first bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: u64,
    file_size: u64,
    limit: u64,
    /// What is being read, for the sentence of an error.
    pub place: &'static str,
}

macro_rules! numbers {
    ($($name:ident)+) => {
        $(
            pub fn $name(&mut self) -> Read<$name> {
                Ok($name::from_le_bytes(self.array()?))
            }
        )+
    };
}

impl<'a> Reader<'a> {
    /// `bytes` are the first of `file_size`; what lies beyond `limit` is refused.
    pub fn new(bytes: &'a [u8], file_size: u64, limit: u64, place: &'static str) -> Self {
        Reader { bytes, at: 0, file_size, limit, place }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        // Never more than `bytes.len()`: `take` moves it only past bytes it has seen.
        self.at as usize
    }

    /// A second cursor at the same place.
    pub fn fork(&self) -> Self {
        Reader { ..*self }
    }

    /// How far this cursor is ahead of another.
    pub fn distance_from(&self, other: &Self) -> u64 {
        self.at.saturating_sub(other.at)
    }

    /// Whether the file has no more bytes.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.file_size
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: u64) -> Read<&'a [u8]> {
        let (start, end) = (self.at, self.at.saturating_add(len));
        if end > self.limit {
            let message = format!("{} goes on past byte {end}, and {} is the limit", self.place, self.limit);
            return Err(Error::new(Code::TOO_LARGE, message).with("limit", self.limit).into());
        }
        if end > self.file_size {
            let (place, size) = (self.place, self.file_size);
            let message = format!("the file ends in {place}: it has {size} bytes, and at least {end} are needed");
            return Err(Error::new(Code::TRUNCATED, message).with("size", size).with("needed", end).into());
        }
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| self.bytes.get(start..end)).ok_or(Stop::More(end))?;
        self.at = end;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    numbers! { u32 i32 u64 }
}
