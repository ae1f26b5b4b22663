//! Input files, read as one concatenated file with positioned reads from any number of threads.

use super::errors::system;
use super::target::read_at;
use crate::error::{Code, Error, Result};
use crate::hash::Hasher;
use crate::job::ByteRange;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};

/// A file, or bytes that are not in any file.
enum Part {
    File { file: File, path: PathBuf, size: u64, state: State },
    Bytes(Vec<u8>),
}

/// The properties that show whether a file has changed.
#[derive(Clone, Debug, PartialEq)]
struct State {
    size: u64,
    device: u64,
    inode: u64,
    /// Modification time in seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    #[cfg(unix)]
    fn of(found: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        State {
            size: found.len(),
            device: found.dev(),
            inode: found.ino(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    fn of(found: &Metadata) -> Self {
        let time = found.modified().unwrap_or(std::time::UNIX_EPOCH).duration_since(std::time::UNIX_EPOCH);
        let time = time.unwrap_or_default();
        let modified = (time.as_secs() as i64, i64::from(time.subsec_nanos()));
        State { size: found.len(), device: 0, inode: 0, modified, changed: modified }
    }
}

impl Part {
    fn size(&self) -> u64 {
        match self {
            Part::File { size, .. } => *size,
            Part::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The fingerprint with which the npm package identifies the same source.
    fn fingerprint(&self) -> Result<String> {
        let mut hasher = Hasher::xxh64();
        match self {
            Part::Bytes(bytes) => {
                hasher.update(bytes);
                Ok(format!("bytes {}", hasher.hex()))
            }
            Part::File { file, path, size, state } => {
                for (from, to) in sampled(*size) {
                    let mut bytes = vec![0; (to - from) as usize];
                    let filled =
                        read_at(file, &mut bytes, from).map_err(|error| system(&error, "cannot read", path))?;
                    if filled < bytes.len() {
                        return Err(changed(path));
                    }
                    hasher.update(&bytes);
                }
                let (seconds, nanoseconds) = state.modified;
                let modified = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
                Ok(format!("file {} {modified} {}", state.inode, hasher.hex()))
            }
        }
    }
}

/// Ranges spread evenly over a file, from the first byte, where the header is, to the last. They detect a file that was
/// overwritten in place and had its modification time reset.
fn sampled(size: u64) -> Vec<(u64, u64)> {
    const COUNT: u64 = 32;
    const LENGTH: u64 = 4096;
    if size <= COUNT * LENGTH {
        return vec![(0, size)];
    }
    let start = |index: u64| (u128::from(index) * u128::from(size - LENGTH) / u128::from(COUNT - 1)) as u64;
    (0..COUNT).map(|index| (start(index), start(index) + LENGTH)).collect()
}

/// A concatenation of files.
#[derive(Default)]
pub struct Source {
    parts: Vec<(u64, Part)>,
    size: u64,
}

impl Source {
    /// Adds the next file.
    ///
    /// # Errors
    /// I/O errors; [`Code::UNSUPPORTED`] if it is not a regular file.
    pub fn add(&mut self, path: &Path) -> Result<()> {
        // Checked before opening, because opening a pipe would wait for a writer.
        let found = fs::metadata(path).map_err(|error| system(&error, "cannot read", path))?;
        if !found.is_file() {
            let what = if found.is_dir() { "it is a directory" } else { "it is not a regular file" };
            let path = path.display().to_string();
            return Err(
                Error::new(Code::UNSUPPORTED, format!("cannot read '{path}': {what}")).with("path", path.as_str())
            );
        }
        let file = File::open(path).map_err(|error| system(&error, "cannot read", path))?;
        let found = file.metadata().map_err(|error| system(&error, "cannot read", path))?;
        let (size, state) = (found.len(), State::of(&found));
        self.parts.push((self.size, Part::File { file, path: path.to_owned(), size, state }));
        self.size += size;
        Ok(())
    }

    /// Adds bytes after the last file.
    pub fn add_bytes(&mut self, bytes: Vec<u8>) {
        let start = self.size;
        self.size += bytes.len() as u64;
        self.parts.push((start, Part::Bytes(bytes)));
    }

    /// Total size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|(_, part)| match part {
            Part::File { path, .. } => Some(path.as_path()),
            Part::Bytes(_) => None,
        })
    }

    /// Reads a range, in one or two halves.
    ///
    /// # Errors
    /// I/O errors; [`Code::TRUNCATED`] beyond the end.
    pub fn read(&self, range: &ByteRange) -> Result<Vec<u8>> {
        let mut bytes = vec![0; range.length as usize];
        match range.second {
            None => self.read_into(&mut bytes, range.offset)?,
            Some(second) => {
                let (first, rest) = bytes.split_at_mut(range.length as usize / 2);
                self.read_into(first, range.offset)?;
                self.read_into(rest, second)?;
            }
        }
        Ok(bytes)
    }

    fn read_into(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.size {
            let message = format!("the model ends at byte {}, but {end} bytes are needed", self.size);
            return Err(Error::new(Code::TRUNCATED, message).with("size", self.size).with("needed", end));
        }
        for (start, part) in &self.parts {
            let (from, to) = (offset.max(*start), end.min(start + part.size()));
            if from >= to {
                continue;
            }
            let into = &mut bytes[(from - offset) as usize..(to - offset) as usize];
            match part {
                Part::Bytes(bytes) => into.copy_from_slice(&bytes[(from - start) as usize..(to - start) as usize]),
                Part::File { file, path, .. } => {
                    let filled =
                        read_at(file, into, from - start).map_err(|error| system(&error, "cannot read", path))?;
                    if filled < into.len() {
                        return Err(changed(path));
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that no file has changed since it was opened.
    ///
    /// # Errors
    /// [`Code::CHANGED`] if one has.
    pub fn check(&self) -> Result<()> {
        for (_, part) in &self.parts {
            if let Part::File { file, path, state, .. } = part {
                let now = file.metadata().map_err(|error| system(&error, "cannot read", path))?;
                if State::of(&now) != *state {
                    return Err(changed(path));
                }
            }
        }
        Ok(())
    }

    /// The fingerprint with which the source is identified when a conversion is resumed.
    ///
    /// # Errors
    /// I/O errors.
    pub fn fingerprint(&self) -> Result<String> {
        if let [(_, only)] = self.parts.as_slice() {
            return only.fingerprint();
        }
        let parts = self.parts.iter().map(|(_, part)| Ok(format!(r#"[{},"{}"]"#, part.size(), part.fingerprint()?)));
        Ok(format!("joined [{}]", parts.collect::<Result<Vec<_>>>()?.join(",")))
    }
}

fn changed(path: &Path) -> Error {
    let path = path.display().to_string();
    Error::new(Code::CHANGED, format!("'{path}' changed while it was being read")).with("path", path.as_str())
}
