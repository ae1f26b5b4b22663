//! The output files: written under temporary names in the same folder, and renamed when all are complete.
//!
//! A file with the name of the output is therefore always complete, either the old or the new one. During a run, or
//! after it was killed, there are also `.NAME.OWNER.part` and, for the first file, `.NAME.OWNER.journal`.

use super::errors::system;
use super::file_identity::{destination, folder_of};
use super::free_space;
use super::partial_file::{INTERRUPTED, is_alive, is_owner, new_owner, short_name};
use crate::error::{Code, Error, Result};
use crate::job::{MAX_JOURNAL_BYTES, Write};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An output file being written.
struct Target {
    path: PathBuf,
    /// The path after following symbolic links.
    last: PathBuf,
    size: u64,
    unfinished: Unfinished,
    part: File,
    journal: Option<File>,
}

/// The temporary files of a target during a run.
#[derive(Clone, Debug)]
struct Unfinished {
    part: PathBuf,
    journal: PathBuf,
    /// The file to be replaced, while other files of its set are being replaced.
    old: PathBuf,
}

/// The temporary files of an earlier run.
struct Leftover {
    files: Unfinished,
    alive: bool,
    modified: SystemTime,
}

impl Unfinished {
    fn of(last: &Path, owner: &str) -> Self {
        let name = last.file_name().unwrap_or_default();
        let sidecars = |ending: &str| last.with_file_name(format!(".{}.{owner}.{ending}", short_name(name)));
        Unfinished { part: sidecars("part"), journal: sidecars("journal"), old: sidecars("old") }
    }

    /// Takes over the files of another owner; if several try, only one succeeds.
    fn take(&self, other: &Unfinished) -> io::Result<()> {
        fs::rename(&other.part, &self.part)?;
        let _ = fs::rename(&other.journal, &self.journal); // without one there is nothing to resume
        Ok(())
    }

    fn remove(&self) {
        // Files that cannot be removed are cleaned up by the next run.
        let _ = fs::remove_file(&self.part);
        let _ = fs::remove_file(&self.journal);
    }
}

fn leftovers(last: &Path) -> Vec<Leftover> {
    let prefix = format!(".{}.", short_name(last.file_name().unwrap_or_default()));
    let owner_of = |name: &OsStr| {
        let (owner, ending) = name.to_str()?.strip_prefix(&prefix)?.rsplit_once('.')?;
        (["part", "journal", "old"].contains(&ending) && is_owner(owner)).then(|| owner.to_owned())
    };
    // The folder may be writable but not readable.
    let entries = fs::read_dir(folder_of(last)).into_iter().flatten().flatten();
    let mut owners: Vec<String> = entries.filter_map(|entry| owner_of(&entry.file_name())).collect();
    owners.sort_unstable();
    owners.dedup();
    let found = owners.into_iter().filter_map(|owner| {
        let files = Unfinished::of(last, &owner);
        let found = [&files.part, &files.journal, &files.old].into_iter().find_map(|path| fs::metadata(path).ok())?;
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let idle = SystemTime::now().duration_since(modified).unwrap_or(Duration::ZERO);
        Some(Leftover { alive: owner != INTERRUPTED && is_alive(&owner, idle), files, modified })
    });
    found.collect()
}

impl Target {
    /// Creates a new output file.
    fn create(path: &Path, size: u64) -> Result<Self> {
        let last = prepare(path)?;
        clear_away(&last);
        let unfinished = Unfinished::of(&last, &new_owner());
        let part = OpenOptions::new().read(true).write(true).create_new(true).open(&unfinished.part);
        let part = part.map_err(|error| system(&error, "cannot write", path))?;
        sync_folder(&last);
        Ok(Target { path: path.to_owned(), last, size, unfinished, part, journal: None })
    }

    /// Takes over the newest file of an interrupted run, if there is one.
    fn take_over(path: &Path, size: u64) -> Result<Option<Self>> {
        let last = prepare(path)?;
        let mut found = leftovers(&last);
        found.sort_by_key(|leftover| std::cmp::Reverse(leftover.modified));
        let unfinished = Unfinished::of(&last, &new_owner());
        let taken = found.iter().filter(|left| !left.alive).any(|left| unfinished.take(&left.files).is_ok());
        if !taken && found.iter().any(|leftover| leftover.alive) {
            let message = format!("cannot resume '{}': another run is writing it", path.display());
            return Err(Error::new(Code::BUSY, message).with("path", path.display().to_string().as_str()));
        }
        if !taken {
            return Ok(None);
        }
        let part = OpenOptions::new().read(true).write(true).open(&unfinished.part);
        let part = part.map_err(|error| system(&error, "cannot write", path))?;
        clear_away(&last);
        Ok(Some(Target { path: path.to_owned(), last, size, unfinished, part, journal: None }))
    }

    fn read_journal(&self) -> Vec<u8> {
        let journal = &self.unfinished.journal;
        let size = fs::metadata(journal).map_or(0, |found| found.len());
        // A journal that is too long cannot be ours and is treated as empty.
        if size > MAX_JOURNAL_BYTES { Vec::new() } else { fs::read(journal).unwrap_or_default() }
    }

    fn begin_anew(&mut self) -> Result<()> {
        let _ = fs::remove_file(&self.unfinished.journal);
        self.part.set_len(0).map_err(|error| system(&error, "cannot write", &self.path))
    }

    fn append_journal(&mut self, entries: &[u8]) -> io::Result<()> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            none => none.insert(OpenOptions::new().append(true).create(true).open(&self.unfinished.journal)?),
        };
        journal.write_all(entries)?;
        journal.sync_data()
    }

    /// The bytes of the partial file that already take space, not counting holes.
    fn bytes_on_disk(&self) -> u64 {
        self.part.metadata().map_or(0, |found| allocated(&found))
    }

    fn flush(&self) -> Result<()> {
        let flush = || {
            // The file of the earlier run may be longer.
            if self.part.metadata()?.len() > self.size {
                self.part.set_len(self.size)?;
            }
            self.part.sync_all()
        };
        flush().map_err(|error| system(&error, "cannot complete", &self.path))
    }

    fn place(&self) -> Result<()> {
        fs::rename(&self.unfinished.part, &self.last).map_err(|error| system(&error, "cannot complete", &self.path))
    }
}

#[cfg(unix)]
fn allocated(found: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // In units of 512 bytes, whatever the block size of the file system is.
    found.blocks().saturating_mul(512)
}

#[cfg(not(unix))]
fn allocated(found: &fs::Metadata) -> u64 {
    found.len()
}

/// Checks in advance for errors that would otherwise occur only at the final rename.
fn prepare(path: &Path) -> Result<PathBuf> {
    let last = destination(path)?;
    let Ok(found) = fs::metadata(&last) else { return Ok(last) };
    if found.is_file() {
        return Ok(last);
    }
    let what = if found.is_dir() { "a directory" } else { "not a regular file" };
    let path = path.display().to_string();
    Err(Error::new(Code::UNSUPPORTED, format!("cannot write '{path}': it is {what}")).with("path", path.as_str()))
}

/// Removes the files of killed runs, but not those of live ones.
fn clear_away(last: &Path) {
    for leftover in leftovers(last).iter().filter(|leftover| !leftover.alive) {
        leftover.files.remove();
        let _ = fs::remove_file(&leftover.files.old);
    }
}

/// Makes a rename durable by syncing the folder, which not every system allows to open.
fn sync_folder(last: &Path) {
    if let Ok(folder) = File::open(folder_of(last)) {
        let _ = folder.sync_all();
    }
}

/// The temporary files of killed runs next to an output.
pub fn unfinished_names(path: &Path) -> Vec<PathBuf> {
    let last = destination(path).unwrap_or_else(|_| path.to_owned());
    let dead = leftovers(&last).into_iter().filter(|leftover| !leftover.alive);
    dead.flat_map(|Leftover { files, .. }| [files.part, files.journal, files.old]).collect()
}

/// All files of an output. The journal is next to the first.
pub struct Targets(Vec<Target>);

impl Targets {
    /// Prepares the output; with `resume`, takes over an interrupted run and returns its journal.
    ///
    /// # Errors
    /// I/O errors; [`Code::BUSY`] if a live run is writing the file; [`Code::NO_SPACE`] if the files do not fit on the
    /// disk.
    pub fn open(files: &[(PathBuf, u64)], resume: bool) -> Result<(Targets, Option<Vec<u8>>)> {
        let mut targets = Targets(Vec::new());
        match targets.open_all(files, resume) {
            Ok(journal) => Ok((targets, journal)),
            Err(error) => {
                if resume {
                    targets.suspend()
                } else {
                    targets.abort()
                }
                Err(error)
            }
        }
    }

    fn open_all(&mut self, files: &[(PathBuf, u64)], resume: bool) -> Result<Option<Vec<u8>>> {
        let mut journal = None;
        for (index, (path, size)) in files.iter().enumerate() {
            // Without a journal there is nothing to resume in the other files.
            let taken = match resume && (index == 0 || journal.is_some()) {
                true => Target::take_over(path, *size)?,
                false => None,
            };
            if index == 0 {
                journal = taken.as_ref().map(Target::read_journal);
            }
            self.0.push(taken.map_or_else(|| Target::create(path, *size), Ok)?);
        }
        self.check_space(free_space::free_bytes)?;
        Ok(journal)
    }

    /// Checks that all files fit on their disks, given the free bytes of a folder.
    fn check_space(&self, free_bytes: impl Fn(&Path) -> Option<u64>) -> Result<()> {
        let mut needed: Vec<(&Path, &Path, u64)> = Vec::new();
        for target in &self.0 {
            let (folder, more) = (folder_of(&target.last), target.size.saturating_sub(target.bytes_on_disk()));
            match needed.iter_mut().find(|(known, ..)| *known == folder) {
                Some((.., sum)) => *sum = sum.saturating_add(more),
                None => needed.push((folder, &target.path, more)),
            }
        }
        needed.into_iter().try_for_each(|(folder, path, sum)| free_space::check(path, sum, free_bytes(folder)))
    }

    /// Discards what was taken over.
    ///
    /// # Errors
    /// I/O errors.
    pub fn begin_anew(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Target::begin_anew)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write(&self, write: &Write) -> Result<()> {
        let target = &self.0[write.file];
        write_at(&target.part, &write.bytes, write.offset).map_err(|error| system(&error, "cannot write", &target.path))
    }

    /// Reads back what an earlier run has written; fewer bytes at the end of the file.
    ///
    /// # Errors
    /// I/O errors.
    pub fn read(&self, file: usize, offset: u64, length: u64) -> Result<Vec<u8>> {
        let target = &self.0[file];
        let mut bytes = vec![0; length as usize];
        let read = read_at(&target.part, &mut bytes, offset);
        let filled = read.map_err(|error| system(&error, "cannot read back", &target.path))?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Makes the written data durable, then appends to the journal.
    ///
    /// # Errors
    /// I/O errors.
    pub fn log(&self, journal: &mut Journal, entries: &[u8]) -> Result<()> {
        for target in &self.0 {
            target.part.sync_data().map_err(|error| system(&error, "cannot write", &target.path))?;
        }
        journal.append(entries)
    }

    /// The journal of the whole output.
    ///
    /// # Errors
    /// I/O errors.
    pub fn journal(&mut self) -> Result<Journal> {
        let Some(first) = self.0.first_mut() else { return Ok(Journal(None)) };
        first.append_journal(b"").map_err(|error| system(&error, "cannot write", &first.path))?;
        sync_folder(&first.last);
        Ok(Journal(first.journal.take().map(|file| (file, first.path.clone()))))
    }

    /// Signals that this run is alive.
    pub fn beat(&self) {
        for target in &self.0 {
            let _ = target.part.set_modified(SystemTime::now());
        }
    }

    /// Makes all data durable and renames the files. For a set of files, the old first file is moved away first and the
    /// new one is placed last: a set is found through its first file, so it is never a mixture.
    ///
    /// # Errors
    /// I/O errors.
    pub fn close(self) -> Result<()> {
        self.0.iter().try_for_each(Target::flush)?;
        let Some(first) = self.0.first() else { return Ok(()) };
        let old = &first.unfinished.old;
        let moved = self.0.len() > 1 && fs::rename(&first.last, old).is_ok();
        if let Err(error) = self.0.iter().rev().try_for_each(Target::place) {
            if moved && self.0.last().is_some_and(|last| last.unfinished.part.exists()) {
                // Nothing has been replaced yet.
                let _ = fs::rename(old, &first.last);
            }
            self.abort();
            return Err(error);
        }
        for target in &self.0 {
            // The npm package keeps a journal next to each file.
            let _ = fs::remove_file(&target.unfinished.journal);
        }
        if moved {
            let _ = fs::remove_file(old);
        }
        sync_folder(&first.last);
        Ok(())
    }

    /// Removes all temporary files.
    pub fn abort(self) {
        self.0.iter().for_each(|target| target.unfinished.remove());
    }

    /// Releases the output, keeping what is done for a later run to resume.
    pub fn suspend(self) {
        for target in &self.0 {
            if target.part.metadata().is_ok_and(|found| found.len() == 0) {
                // Nothing is done yet.
                target.unfinished.remove();
                continue;
            }
            // The owner is alive as long as this process, but has finished with the file, so the file is given to
            // nobody.
            let _ = Unfinished::of(&target.last, INTERRUPTED).take(&target.unfinished);
        }
    }
}

/// The journal, for the single thread that appends to it.
pub struct Journal(Option<(File, PathBuf)>);

impl Journal {
    fn append(&mut self, entries: &[u8]) -> Result<()> {
        let Some((file, path)) = &mut self.0 else { return Ok(()) };
        let written = file.write_all(entries).and_then(|()| file.sync_data());
        written.map_err(|error| system(&error, "cannot write the journal of", path))
    }
}

/// Reads at a position until the buffer is full or the file ends.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_once(file, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_once(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_once(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        done += std::os::windows::fs::FileExt::seek_write(file, &bytes[done..], offset + done as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_an_output_must_fit_together() {
        let folder = std::env::temp_dir().join(format!("quantpress-target-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = [(folder.join("a"), 1 << 20), (folder.join("b"), 1 << 20)];
        let (targets, _) = Targets::open(&files, false).unwrap();
        assert!(targets.check_space(|_| Some(2 << 20)).is_ok() && targets.check_space(|_| None).is_ok());
        let error = targets.check_space(|_| Some((2 << 20) - 1)).unwrap_err();
        assert_eq!((error.code(), error.details()[1].clone()), (Code::NO_SPACE, ("needed", (2u64 << 20).into())));
        // What is on disk already needs no more space.
        let bytes = vec![1; 1 << 20];
        targets.write(&Write { file: 0, offset: 0, bytes }).unwrap();
        targets.0[0].part.sync_all().unwrap();
        assert!(targets.check_space(|_| Some(1 << 20)).is_ok());
        targets.abort();
        for resume in [false, true] {
            let huge = [(folder.join("a"), u64::MAX / 2)];
            let Err(error) = Targets::open(&huge, resume) else { panic!("no disk has so much space") };
            assert_eq!(error.code(), Code::NO_SPACE);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
