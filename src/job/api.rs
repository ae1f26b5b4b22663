//! What a job and its driver say to each other.

use super::task::Task;
use crate::shared::Name;

/// What is wanted of a conversion beside its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobOptions {
    /// Hashes of the files and of each tensor.
    pub hashes: bool,
    /// What is lost of each tensor.
    pub errors: bool,
    /// Entries for a journal.
    pub journal: bool,
    /// Whether the writes come in ascending order without gaps, as a stream needs them.
    pub ordered: bool,
    /// How many tiles may wait for those before them, where hashes or an ordered output make them wait: at least as many as
    /// tasks are worked on at once.
    pub window: usize,
}

impl Default for JobOptions {
    fn default() -> Self {
        JobOptions { hashes: false, errors: false, journal: false, ordered: false, window: 16 }
    }
}

/// One of the output files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it begins among the bytes of all, end to end.
    pub offset: u64,
    /// Its size.
    pub size: u64,
}

/// Bytes to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<B = Vec<u8>> {
    /// Which of the output files, from 0.
    pub file: usize,
    /// Where in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: B,
}

/// What a driver does next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one for each tile
pub enum Next {
    /// Run this task.
    Task(Task),
    /// Wait: a task that is being worked on has to be completed first.
    Wait,
    /// Nothing: every task is completed.
    Finished,
}

/// What follows from a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<B = Vec<u8>> {
    /// Bytes to write.
    pub writes: Vec<Write<B>>,
    /// What to append to the journal once all writes of this step, and of the steps before it, would outlast a crash.
    pub entry: Option<Vec<u8>>,
}

impl<B> Default for Step<B> {
    fn default() -> Self {
        Step { writes: Vec::new(), entry: None }
    }
}

/// How far a conversion is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the source that are done.
    pub bytes_done: u64,
    /// Bytes of the source in all.
    pub bytes_total: u64,
    /// Of the bytes that are done, those that an earlier run had done.
    pub bytes_resumed: u64,
    /// The tensor of the last tile.
    pub tensor: Name,
    /// Tensors that are complete.
    pub tensors_done: usize,
    /// Tensors in all.
    pub tensors_total: usize,
}
