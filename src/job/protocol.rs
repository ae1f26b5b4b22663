//! The data exchanged between a job and its driver.

use super::task::Task;
use crate::interning::Name;
use crate::setters::setter;

/// The options of a job, in addition to its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobOptions {
    /// Whether to hash the files and each tensor.
    pub hashes: bool,
    /// Whether to measure the quantization error of each tensor.
    pub errors: bool,
    /// Whether to produce journal entries.
    pub journal: bool,
    /// Whether writes must come in ascending order without gaps, as for a stream.
    pub ordered: bool,
    /// The maximum number of tiles that may wait for earlier ones because of hashes or ordered output; at least the
    /// number of tasks in flight.
    pub window: usize,
}

impl Default for JobOptions {
    fn default() -> Self {
        JobOptions { hashes: false, errors: false, journal: false, ordered: false, window: 16 }
    }
}

impl JobOptions {
    setter!(with_hashes, hashes: bool);
    setter!(with_errors, errors: bool);
    setter!(with_journal, journal: bool);
    setter!(with_ordered, ordered: bool);
    setter!(with_window, window: usize);
}

/// An output file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// Start of the file in the concatenation of all files.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

/// Bytes to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write<B = Vec<u8>> {
    /// The index of the output file.
    pub file: usize,
    /// The offset in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: B,
}

/// The next action of a driver.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one for each tile
pub enum Next {
    /// Run this task.
    Task(Task),
    /// Wait until a task in flight is completed.
    Wait,
    /// Done: all tasks are completed.
    Finished,
}

/// The consequences of a result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step<B = Vec<u8>> {
    /// Bytes to be written.
    pub writes: Vec<Write<B>>,
    /// An entry to append to the journal once all writes of this and earlier steps are durable.
    pub entry: Option<Vec<u8>>,
}

impl<B> Default for Step<B> {
    fn default() -> Self {
        Step { writes: Vec::new(), entry: None }
    }
}

/// The progress of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the source that are done.
    pub bytes_done: u64,
    /// Total bytes of the source.
    pub bytes_total: u64,
    /// The part of the done bytes that an earlier run had done.
    pub bytes_resumed: u64,
    /// The tensor of the latest tile.
    pub tensor: Name,
    /// The number of completed tensors.
    pub tensors_done: usize,
    /// The total number of tensors.
    pub tensors_total: usize,
}
