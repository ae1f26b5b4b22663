//! A cursor over the first bytes of a file that distinguishes "read more of the file" from "the file ends here".

use crate::error::{Code, Error};

/// Why reading stopped early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// More data is needed: this many bytes from the start of the file.
    More(u64),
    /// The data is invalid.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// The result of a read that may need more bytes.
pub(crate) type Read<T> = Result<T, Stop>;

/// A cursor over the first bytes of a file.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: u64,
    file_size: u64,
    limit: u64,
    /// What is being read, for error messages.
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
    /// `bytes` are the first bytes of a file of `file_size` bytes; reading past `limit` is an error.
    pub fn new(bytes: &'a [u8], file_size: u64, limit: u64, place: &'static str) -> Self {
        Reader { bytes, at: 0, file_size, limit, place }
    }

    /// The number of bytes read so far.
    pub fn position(&self) -> usize {
        // Never more than `bytes.len()`: `take` only advances past bytes it has returned.
        self.at as usize
    }

    /// A second cursor at the same position.
    pub fn fork(&self) -> Self {
        Reader { ..*self }
    }

    /// The distance of this cursor from an earlier one, in bytes.
    pub fn distance_from(&self, other: &Self) -> u64 {
        self.at.saturating_sub(other.at)
    }

    /// Whether the end of the file has been reached.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.file_size
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: u64) -> Read<&'a [u8]> {
        let (start, end) = (self.at, self.at.saturating_add(len));
        if end > self.limit {
            let message = format!("{} extends past byte {end}; the limit is {}", self.place, self.limit);
            return Err(Error::new(Code::TOO_LARGE, message).with("limit", self.limit).into());
        }
        if end > self.file_size {
            let (place, size) = (self.place, self.file_size);
            let message = format!("the file ends within {place}: it has {size} bytes but needs at least {end}");
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
