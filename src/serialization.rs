//! Serialization of this library's own structures: little-endian fields after a tag. The reader checks every count
//! against the bytes that are actually there before it allocates.

use crate::error::{Code, Error, Result};

/// Writes one serialized structure.
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts a structure with its four-letter tag and its version.
    pub fn new(tag: [u8; 4], version: u8) -> Self {
        let mut bytes = tag.to_vec();
        bytes.push(version);
        Writer(bytes)
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// A boolean, as one byte.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// A count or an index, as u64.
    pub fn count(&mut self, value: usize) -> &mut Self {
        self.0.extend_from_slice(&(value as u64).to_le_bytes());
        self
    }

    /// A u64 that is not a count of elements in memory.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// An i32.
    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// An f32.
    pub fn f32(&mut self, value: f32) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// An f64.
    pub fn f64(&mut self, value: f64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A byte string, preceded by its length.
    pub fn bytes(&mut self, values: &[u8]) -> &mut Self {
        self.count(values.len());
        self.0.extend_from_slice(values);
        self
    }

    /// A string, as a UTF-8 byte string.
    #[cfg(feature = "models")]
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// An optional value, preceded by a boolean.
    #[cfg(feature = "models")]
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// An array of f32, preceded by its length.
    pub fn f32s(&mut self, values: &[f32]) -> &mut Self {
        self.count(values.len());
        self.0.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        self
    }

    /// An array of i32, preceded by its length.
    pub fn i32s(&mut self, values: &[i32]) -> &mut Self {
        self.count(values.len());
        self.0.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        self
    }

    /// An array of u64, preceded by its length.
    pub fn u64s(&mut self, values: &[u64]) -> &mut Self {
        self.count(values.len());
        self.0.extend(values.iter().flat_map(|x| x.to_le_bytes()));
        self
    }

    /// An array of counts, preceded by its length.
    pub fn counts(&mut self, values: &[usize]) -> &mut Self {
        self.count(values.len());
        for &value in values {
            self.count(value);
        }
        self
    }

    /// Returns the bytes.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Reads one serialized structure. Every method fails with [`Code::TRUNCATED`] if the bytes end too early.
pub struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Checks the tag and the version; `what` names the structure in error messages.
    ///
    /// # Errors
    /// [`Code::TRUNCATED`], [`Code::MAGIC`] for a different tag, [`Code::UNSUPPORTED`] for a different version.
    pub fn new(bytes: &'a [u8], tag: [u8; 4], version: u8, what: &'static str) -> Result<Self> {
        let mut reader = Reader { rest: bytes, len: bytes.len(), what };
        let found = reader.array::<4>()?;
        if found != tag {
            let message = format!("{what} must begin with {:?}, but these bytes begin with {found:?}", tag);
            return Err(Error::new(Code::MAGIC, message));
        }
        match reader.u8()? {
            found if found == version => Ok(reader),
            found => Err(Error::new(
                Code::UNSUPPORTED,
                format!("{what} has version {found}; only version {version} is supported"),
            )),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            let (at, what) = (self.len - self.rest.len(), self.what);
            let message =
                format!("{what} needs {count} bytes at offset {at}, but has only {} bytes in total", self.len);
            return Err(Error::new(Code::TRUNCATED, message).with("offset", at).with("length", self.len));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A boolean.
    pub fn bool(&mut self) -> Result<bool> {
        self.choice(&[false, true], "truth value")
    }

    /// A count or an index.
    pub fn count(&mut self) -> Result<usize> {
        let value = u64::from_le_bytes(self.array()?);
        usize::try_from(value).map_err(|_| self.malformed(format!("a count of {value}")))
    }

    /// A u64.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// An i32.
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// An f32.
    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    /// An f64.
    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    /// An array of elements of `N` bytes each, preceded by its length.
    fn run<const N: usize, T>(&mut self, element: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let count = self.count()?;
        let bytes = count.checked_mul(N).ok_or_else(|| self.malformed(format!("a run of {count} elements")))?;
        Ok(self.take(bytes)?.as_chunks::<N>().0.iter().map(|&chunk| element(chunk)).collect())
    }

    /// A byte string, preceded by its length.
    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        self.run::<1, _>(|[byte]| byte)
    }

    /// Text.
    #[cfg(feature = "models")]
    pub fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes).map_err(|_| self.malformed("text that is not UTF-8"))
    }

    /// A value, if there is one.
    #[cfg(feature = "models")]
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// An array of f32, preceded by its length.
    pub fn f32s(&mut self) -> Result<Vec<f32>> {
        self.run(f32::from_le_bytes)
    }

    /// An array of i32, preceded by its length.
    pub fn i32s(&mut self) -> Result<Vec<i32>> {
        self.run(i32::from_le_bytes)
    }

    /// An array of u64, preceded by its length.
    pub fn u64s(&mut self) -> Result<Vec<u64>> {
        self.run(u64::from_le_bytes)
    }

    /// An array of counts, preceded by its length.
    pub fn counts(&mut self) -> Result<Vec<usize>> {
        let values = self.run(u64::from_le_bytes)?;
        values.into_iter().map(|n| usize::try_from(n).map_err(|_| self.malformed(format!("a count of {n}")))).collect()
    }

    /// An entry of a table, stored as its index.
    pub fn choice<T: Copy>(&mut self, table: &[T], name: &str) -> Result<T> {
        let index = self.u8()?;
        table.get(usize::from(index)).copied().ok_or_else(|| self.malformed(format!("{name} {index}")))
    }

    /// The error for an invalid value.
    pub fn malformed(&self, found: impl std::fmt::Display) -> Error {
        Error::new(Code::MALFORMED, format!("{} contains an invalid value: {found}", self.what))
    }

    /// Checks that all bytes have been read.
    ///
    /// # Errors
    /// [`Code::MALFORMED`] if bytes are left over.
    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let (extra, what) = (self.rest.len(), self.what);
        let message = format!("{what} has {extra} extra bytes at the end of its {} bytes", self.len);
        Err(Error::new(Code::MALFORMED, message).with("extra", extra).with("length", self.len))
    }
}
