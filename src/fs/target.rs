//! The files that are written: under temporary names beside their own, and renamed when all are complete.
//!
//! A file of the output's name so is always a whole one, the old one or the new one. Beside it are, while a run is at work and
//! when it was killed, `.NAME.OWNER.part` and, of the first file, `.NAME.OWNER.journal`.

use super::errors::system;
use super::owner::{NOBODY, is_alive, is_owner, new_owner, short_name};
use super::same::{destination, folder_of};
use crate::error::{Code, Error, Result};
use crate::job::{MAX_JOURNAL_BYTES, Write};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// One file that is being written.
struct Target {
    path: PathBuf,
    /// Where the path leads through symbolic links.
    last: PathBuf,
    size: u64,
    unfinished: Unfinished,
    part: File,
    journal: Option<File>,
}

/// What a run keeps beside its target while it is at work.
#[derive(Clone, Debug)]
struct Unfinished {
    part: PathBuf,
    journal: PathBuf,
    /// The file that is replaced, while others of its set are.
    old: PathBuf,
}

/// What an earlier run has left.
struct Leftover {
    files: Unfinished,
    alive: bool,
    modified: SystemTime,
}

impl Unfinished {
    fn of(last: &Path, owner: &str) -> Self {
        let name = last.file_name().unwrap_or_default();
        let beside = |ending: &str| last.with_file_name(format!(".{}.{owner}.{ending}", short_name(name)));
        Unfinished { part: beside("part"), journal: beside("journal"), old: beside("old") }
    }

    /// Takes the place of another: of several who try only one can.
    fn take(&self, other: &Unfinished) -> io::Result<()> {
        fs::rename(&other.part, &self.part)?;
        let _ = fs::rename(&other.journal, &self.journal); // without one there is nothing to resume
        Ok(())
    }

    fn remove(&self) {
        // What cannot be removed is cleared away by the next run.
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
    // A folder may be one that can be written and not read.
    let entries = fs::read_dir(folder_of(last)).into_iter().flatten().flatten();
    let mut owners: Vec<String> = entries.filter_map(|entry| owner_of(&entry.file_name())).collect();
    owners.sort_unstable();
    owners.dedup();
    let found = owners.into_iter().filter_map(|owner| {
        let files = Unfinished::of(last, &owner);
        let found = [&files.part, &files.journal, &files.old].into_iter().find_map(|path| fs::metadata(path).ok())?;
        let modified = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let idle = SystemTime::now().duration_since(modified).unwrap_or(Duration::ZERO);
        Some(Leftover { alive: owner != NOBODY && is_alive(&owner, idle), files, modified })
    });
    found.collect()
}

impl Target {
    /// Makes ready to write a file anew.
    fn create(path: &Path, size: u64) -> Result<Self> {
        let last = prepare(path)?;
        clear_away(&last);
        let unfinished = Unfinished::of(&last, &new_owner());
        let part = OpenOptions::new().read(true).write(true).create_new(true).open(&unfinished.part);
        let part = part.map_err(|error| system(&error, "cannot write", path))?;
        sync_folder(&last);
        Ok(Target { path: path.to_owned(), last, size, unfinished, part, journal: None })
    }

    /// Takes over the newest file that an interrupted run has left, if there is one.
    fn take_over(path: &Path, size: u64) -> Result<Option<Self>> {
        let last = prepare(path)?;
        let mut found = leftovers(&last);
        found.sort_by_key(|leftover| std::cmp::Reverse(leftover.modified));
        let unfinished = Unfinished::of(&last, &new_owner());
        let taken = found.iter().filter(|left| !left.alive).any(|left| unfinished.take(&left.files).is_ok());
        if !taken && found.iter().any(|leftover| leftover.alive) {
            let message = format!("cannot resume '{}': another run is at work on it", path.display());
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
        // One that is too long to be ours is as one with nothing in it.
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

    fn flush(&self) -> Result<()> {
        let flush = || {
            // What was taken over may have been begun as something longer.
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

/// What could fail only after all the work, at the rename.
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

/// Removes what runs that were killed have left; what is somebody's stays.
fn clear_away(last: &Path) {
    for leftover in leftovers(last).iter().filter(|leftover| !leftover.alive) {
        leftover.files.remove();
        let _ = fs::remove_file(&leftover.files.old);
    }
}

/// A rename is safe from a power cut when its folder is on disk. Not every system lets a folder be opened.
fn sync_folder(last: &Path) {
    if let Ok(folder) = File::open(folder_of(last)) {
        let _ = folder.sync_all();
    }
}

/// The names that runs which were killed have left beside an output.
pub fn unfinished_names(path: &Path) -> Vec<PathBuf> {
    let last = destination(path).unwrap_or_else(|_| path.to_owned());
    let dead = leftovers(&last).into_iter().filter(|leftover| !leftover.alive);
    dead.flat_map(|Leftover { files, .. }| [files.part, files.journal, files.old]).collect()
}

/// All files of an output. The journal is beside the first.
pub struct Targets(Vec<Target>);

impl Targets {
    /// Makes ready to write; with `resume` takes over what an interrupted run has left, and gives its journal.
    ///
    /// # Errors
    /// Those of the system; [`Code::BUSY`] if a run that is alive is at work on the file.
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
            // Without a journal there is nothing to resume in the others.
            let taken = match resume && (index == 0 || journal.is_some()) {
                true => Target::take_over(path, *size)?,
                false => None,
            };
            if index == 0 {
                journal = taken.as_ref().map(Target::read_journal);
            }
            self.0.push(taken.map_or_else(|| Target::create(path, *size), Ok)?);
        }
        Ok(journal)
    }

    /// Throws away what was taken over.
    ///
    /// # Errors
    /// Those of the system.
    pub fn begin_anew(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(Target::begin_anew)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write(&self, write: &Write) -> Result<()> {
        let target = &self.0[write.file];
        write_at(&target.part, &write.bytes, write.offset).map_err(|error| system(&error, "cannot write", &target.path))
    }

    /// Reads back what an earlier run has written: fewer bytes where the file ends before.
    ///
    /// # Errors
    /// Those of the system.
    pub fn read(&self, file: usize, offset: u64, length: u64) -> Result<Vec<u8>> {
        let target = &self.0[file];
        let mut bytes = vec![0; length as usize];
        let read = read_at(&target.part, &mut bytes, offset);
        let filled = read.map_err(|error| system(&error, "cannot read back", &target.path))?;
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Brings what was written to the disk, then appends to the journal.
    ///
    /// # Errors
    /// Those of the system.
    pub fn log(&self, journal: &mut Journal, entries: &[u8]) -> Result<()> {
        for target in &self.0 {
            target.part.sync_data().map_err(|error| system(&error, "cannot write", &target.path))?;
        }
        journal.append(entries)
    }

    /// The journal of the whole.
    ///
    /// # Errors
    /// Those of the system.
    pub fn journal(&mut self) -> Result<Journal> {
        let Some(first) = self.0.first_mut() else { return Ok(Journal(None)) };
        first.append_journal(b"").map_err(|error| system(&error, "cannot write", &first.path))?;
        sync_folder(&first.last);
        Ok(Journal(first.journal.take().map(|file| (file, first.path.clone()))))
    }

    /// Shows that this run is alive.
    pub fn beat(&self) {
        for target in &self.0 {
            let _ = target.part.set_modified(SystemTime::now());
        }
    }

    /// All bytes are written: brings them to the disk, and gives the files their names. Of a set the old first file is moved
    /// away first and the new one comes last: a set is found by its first file, so it is never a mixture.
    ///
    /// # Errors
    /// Those of the system.
    pub fn close(self) -> Result<()> {
        self.0.iter().try_for_each(Target::flush)?;
        let Some(first) = self.0.first() else { return Ok(()) };
        let old = &first.unfinished.old;
        let moved = self.0.len() > 1 && fs::rename(&first.last, old).is_ok();
        if let Err(error) = self.0.iter().rev().try_for_each(Target::place) {
            if moved && self.0.last().is_some_and(|last| last.unfinished.part.exists()) {
                // Nothing was replaced yet.
                let _ = fs::rename(old, &first.last);
            }
            self.abort();
            return Err(error);
        }
        for target in &self.0 {
            // The npm package keeps one beside each.
            let _ = fs::remove_file(&target.unfinished.journal);
        }
        if moved {
            let _ = fs::remove_file(old);
        }
        sync_folder(&first.last);
        Ok(())
    }

    /// Leaves nothing behind.
    pub fn abort(self) {
        self.0.iter().for_each(|target| target.unfinished.remove());
    }

    /// Lets go, and keeps what is done for a run that resumes.
    pub fn suspend(self) {
        for target in &self.0 {
            // Its owner is alive as long as this process is, and has nothing more to do with it: so it becomes nobody's.
            let _ = Unfinished::of(&target.last, NOBODY).take(&target.unfinished);
        }
    }
}

/// The journal, for the one thread that appends to it.
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
