//! No file that is written is one that is read: compared by identity, not by name, before anything is opened for writing.

use super::errors::SAME_FILE;
use crate::error::{Code, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A file, and what it is used for: "the model", "the output".
pub struct Use {
    /// What for.
    pub role: &'static str,
    /// Its path.
    pub path: PathBuf,
}

/// Refuses a job that would write a file it reads, or write one file twice, by whatever names.
///
/// # Errors
/// `SAME_FILE`, which names both files and what they are used for.
pub fn refuse_shared(reads: &[Use], writes: &[Use]) -> Result<()> {
    let keys: Vec<(String, &Use)> = reads.iter().chain(writes).map(|file| (key(&file.path), file)).collect();
    for (index, (written, b)) in keys.iter().enumerate().skip(reads.len()) {
        let Some((_, a)) = keys[..index].iter().find(|(other, _)| other == written) else { continue };
        let (first, second) = (a.path.display().to_string(), b.path.display().to_string());
        let names = if first == second { format!("'{first}'") } else { format!("'{first}' and '{second}'") };
        let message = format!("{} and {} are the same file: {names}; give {} another name", a.role, b.role, b.role);
        return Err(Error::new(SAME_FILE, message).with("path", second.as_str()));
    }
    Ok(())
}

/// Of a file that exists its identity. Of one that does not, that of the nearest folder that does and the rest of the path,
/// without regard to case: two names that differ only so are one file on many systems.
fn key(path: &Path) -> String {
    let whole = destination(path).unwrap_or_else(|_| path.to_owned());
    let whole = std::path::absolute(&whole).unwrap_or(whole);
    if let Ok(found) = fs::metadata(&whole) {
        return identity(&whole, &found);
    }
    let mut rest = PathBuf::new();
    for at in whole.ancestors() {
        if let (true, Ok(found)) = (at != whole, fs::metadata(at)) {
            return format!("{} {}", identity(at, &found), rest.display().to_string().to_lowercase());
        }
        let name = at.file_name().map(PathBuf::from).unwrap_or_default();
        rest = name.join(&rest);
    }
    whole.display().to_string().to_lowercase()
}

#[cfg(unix)]
fn identity(_: &Path, found: &fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("inode {} {}", found.dev(), found.ino())
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &fs::Metadata) -> String {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real.display().to_string().to_lowercase()
}

/// Where a path leads, so that a symbolic link stays one and the file behind it is written: also a link to a file that does not
/// exist yet.
///
/// # Errors
/// [`Code::ARGUMENT`] if the links never end.
pub fn destination(path: &Path) -> Result<PathBuf> {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut at = path.to_owned();
    for _ in 0..=MAX_LINKS {
        if let Ok(real) = fs::canonicalize(&at) {
            return Ok(real);
        }
        let Ok(link) = fs::read_link(&at) else { return Ok(at) };
        let folder = folder_of(&at);
        // `..` in a link counts from the folder the link is really in.
        at = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).join(link);
    }
    let message = format!("cannot write '{}': its symbolic links lead in a circle", path.display());
    Err(Error::new(Code::ARGUMENT, message))
}

/// The folder a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
