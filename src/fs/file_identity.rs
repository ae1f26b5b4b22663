//! Checks that no output file is an input file, by identity rather than by name, before anything is opened for writing.

use super::errors::SAME_FILE;
use crate::error::{Code, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A file and its role: "the model", "the output".
pub struct FileUse {
    /// The role.
    pub role: &'static str,
    /// Its path.
    pub path: PathBuf,
}

/// Rejects a job that would write a file that it also reads, or write one file twice, whatever the paths are.
///
/// # Errors
/// `SAME_FILE` with both files and their roles.
pub fn refuse_shared(reads: &[FileUse], writes: &[FileUse]) -> Result<()> {
    let keys: Vec<(String, &FileUse)> = reads.iter().chain(writes).map(|file| (key(&file.path), file)).collect();
    for (index, (written, b)) in keys.iter().enumerate().skip(reads.len()) {
        let Some((_, a)) = keys[..index].iter().find(|(other, _)| other == written) else { continue };
        let (first, second) = (a.path.display().to_string(), b.path.display().to_string());
        let names = if first == second { format!("'{first}'") } else { format!("'{first}' and '{second}'") };
        let message = format!("{} and {} are the same file: {names}; give {} another name", a.role, b.role, b.role);
        return Err(Error::new(SAME_FILE, message).with("path", second.as_str()));
    }
    Ok(())
}

/// The identity of an existing file. For a file that does not exist, the identity of its nearest existing folder and
/// the rest of the path in lower case, because names that differ only in case are the same file on many systems.
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

/// Follows symbolic links, so that the link is kept and the file it refers to is written, even if that file does not
/// exist yet.
///
/// # Errors
/// [`Code::ARGUMENT`] for a cycle of links.
pub fn destination(path: &Path) -> Result<PathBuf> {
    /// The same limit as in Linux.
    const MAX_LINKS: usize = 40;
    let mut at = path.to_owned();
    for _ in 0..=MAX_LINKS {
        if let Ok(real) = fs::canonicalize(&at) {
            return Ok(real);
        }
        let Ok(link) = fs::read_link(&at) else { return Ok(at) };
        let folder = folder_of(&at);
        // `..` in a link is relative to the folder that actually contains the link.
        at = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()).join(link);
    }
    let message = format!("cannot write '{}': its symbolic links form a cycle", path.display());
    Err(Error::new(Code::ARGUMENT, message))
}

/// The folder that contains a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
