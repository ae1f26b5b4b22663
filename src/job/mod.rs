//! A conversion as a state machine that does no input or output: tasks out, results in, writes out.
//!
//! ```text
//! Job::new(plan, options)        everything is decided: header, places, types
//! job.start()                 -> the headers, to be written
//! job.next()                  -> a Task: which bytes to read, and what to make of them
//! task.run(bytes)             -> Done: in any thread, in any order
//! job.complete(done)          -> Step: bytes to write, a line for the journal
//! job.written(id)             -> Progress: once those are written
//! job.finish()                -> Report
//! ```
//!
//! A driver reads, runs tasks in its threads, writes, and appends a step's journal entry once the step's writes would outlast
//! a crash. `src/fs` is the driver for files; tasks and results are plain data, so that a driver in another language can
//! send them to its workers. Memory is bounded by the tasks in flight, whatever the shapes of tensors are.
//!
//! An interrupted conversion resumes with [`Job::resume`] and the [`Journal`] it left. Nothing a journal says is trusted:
//! each tile is read back and must have the hash that was noted, or it is made again.
//!
//! ```text
//! tiles      the cutting of tensors
//! task       one tile: encode and measure, or read back and check
//! long       what is needed of a long row, or of all scales, before the first tile
//! wire       tasks and results as bytes, for workers that share no memory
//! buffer     the bytes of results, wherever the driver has them
//! four_bit   the scales of bitsandbytes' formats
//! journal    the file format of what is done, and which job it belongs to
//! digest     hashes of files and tensors, of pieces that come in any order
//! report     what became of each tensor, and how far it is from what it was
//! ```

mod api;
mod buffer;
mod digest;
mod four_bit;
mod journal;
mod long;
mod report;
mod state;
mod task;
mod text;
mod tiles;
mod wire;

pub use api::{File, JobOptions, Next, Progress, Step, Write};
pub use buffer::Buffer;
pub use journal::{Identity, Journal, JournalReader, JournalTile, MAX_JOURNAL_BYTES};
pub use report::{ErrorFigures, Report, ReportedShard, ReportedTensor, TensorHashes};
pub use state::Job;
pub use task::{Done, Found, Pass, Read, Task, Work};
pub use tiles::{ByteRange, Tile, tiles};
