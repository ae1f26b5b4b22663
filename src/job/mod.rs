//! A conversion as a sans-I/O state machine: tasks out, results in, writes out.
//!
//! ```text
//! Job::new(plan, options)        everything is decided: header, positions, dtypes
//! job.start()                 -> the headers to write; in pieces, job.start_piece(...)
//! job.next()                  -> a Task: which bytes to read, and how to convert them
//! task.run(bytes)             -> Done: on any thread, in any order
//! job.complete(done)          -> Step: bytes to write, an entry for the journal
//! job.written(id)             -> Progress: after these have been written
//! job.finish()                -> Report
//! ```
//!
//! A driver reads, runs tasks on its threads, writes, and appends a step's journal entry once the step's writes are
//! durable. `src/fs` is the driver for files; tasks and results are plain data, so a driver in another language can
//! send them to its workers. Memory is bounded by the tasks in flight, whatever the shapes of tensors.
//!
//! An interrupted conversion is resumed with [`Job::resume`] and its [`Journal`]. The contents of a journal are not
//! trusted: each tile is read back and encoded again unless it has the recorded hash.
//!
//! ```text
//! tiles          divides tensors into tiles
//! task           one tile: encode and measure, or read back and check
//! prescan        what a long row, or double quantization, needs before the first tile
//! serialization  serialized tasks and results, for workers without shared memory
//! buffer         the bytes of results, in memory that the driver chooses
//! bnb            the scales of bitsandbytes' formats
//! journal        the file format of the journal, and the identity of a job
//! digest         hashes of files and tensors whose pieces arrive in any order
//! report         the dtype, the error and the hashes of each tensor
//! stored         which bytes of a tensor to read, to check or to compare at once
//! analysis       which rows of a model an analysis reads, and the figures of each tensor
//! ```

mod analysis;
mod bnb;
mod buffer;
mod digest;
mod journal;
mod json_text;
mod prescan;
mod protocol;
mod report;
mod serialization;
mod small_map;
mod state;
mod stored;
mod task;
mod tiles;

pub use analysis::{
    Analysis, AnalysisOptions, AnalyzedTensor, Bins, DEFAULT_SAMPLE, Extremes, FormatAnalysis, FormatErrors,
    Histograms, Measure, Measured, NextStep, Refusal, Rows, Step as AnalysisStep, TensorAnalysis, TensorHistograms,
};
pub use buffer::Buffer;
pub use journal::{Identifier, Identity, Journal, JournalReader, JournalTile, MAX_JOURNAL_BYTES};
pub use protocol::{File, JobOptions, Next, Progress, Step, Write};
pub use report::{ErrorFigures, Finished, HashValue, Report, ReportedShard, ReportedTensor, TensorHashes};
pub use state::Job;
pub use stored::{Piece, StoredTensor, problem_of};
pub use task::{Done, Findings, Pass, Read, Task, Work};
pub use tiles::{ByteRange, Tile, tiles};
