//! The threads of a conversion.

use super::QuantizeOptions;
use super::errors::ABORTED;
use super::partial_file::HEARTBEAT;
use super::source::Source;
use super::target::{Journal, Targets};
use crate::error::{Error, Result};
use crate::job::{Job, Next, Read, Step, Task};
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Minimum time between journal writes, which are also limited to a tenth of the total time.
const PAUSE: Duration = Duration::from_millis(100);
const SHARE: u32 = 9;

/// How often a waiting thread checks whether the work was aborted.
const LOOK: Duration = Duration::from_millis(50);

/// State shared by the threads.
struct Shared<'a> {
    source: &'a Source,
    targets: &'a Targets,
    options: &'a QuantizeOptions<'a>,
    files: Vec<u64>,
    state: Mutex<State>,
    changed: Condvar,
    /// The bytes last reported: progress never goes back.
    reported: Mutex<u64>,
}

struct State {
    job: Job,
    /// Journal entries whose bytes are written, but not necessarily durable.
    entries: Vec<u8>,
    error: Option<Error>,
    finished: bool,
}

/// Runs all tasks of a job and writes their results. When this returns, the journal is complete, even after an error.
pub fn run(
    job: Job,
    source: &Source,
    targets: &Targets,
    mut journal: Journal,
    options: &QuantizeOptions<'_>,
) -> Result<Job> {
    let files = job.files().iter().map(|file| file.offset).collect();
    let state = Mutex::new(State { job, entries: Vec::new(), error: None, finished: false });
    let shared = Shared { source, targets, options, files, state, changed: Condvar::new(), reported: Mutex::new(0) };
    std::thread::scope(|scope| {
        scope.spawn(|| shared.keep_journal(&mut journal));
        let threads = options.thread_count();
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| shared.work())).collect();
        for worker in workers {
            if worker.join().is_err() {
                shared.fail(Error::new(crate::Code::IO, "internal error (please report): a thread ended"));
            }
        }
        shared.lock().finished = true;
        shared.changed.notify_all();
    });
    let State { job, error, entries, .. } = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    let Some(error) = error else { return Ok(job) };
    if options.resume {
        // The last entries. An additional failure here would not change anything.
        let _ = targets.log(&mut journal, &entries);
    }
    Err(error)
}

impl Shared<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Stops the work. Only the first error is reported.
    fn fail(&self, error: Error) {
        self.lock().error.get_or_insert(error);
        self.changed.notify_all();
    }

    fn work(&self) {
        while let Some(task) = self.next_task() {
            if let Err(error) = self.perform(&task) {
                self.fail(error);
                return;
            }
        }
    }

    fn next_task(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if self.options.abort.is_some_and(|abort| abort.load(Ordering::Relaxed)) {
                state.error.get_or_insert_with(|| Error::new(ABORTED, "the conversion was aborted"));
                self.changed.notify_all();
            }
            if state.error.is_some() {
                return None;
            }
            match state.job.next() {
                Next::Task(task) => return Some(task),
                Next::Finished => return None,
                Next::Wait => state = self.wait(state, LOOK),
            }
        }
    }

    fn perform(&self, task: &Task) -> Result<()> {
        let bytes = match task.read {
            Read::Source(range) => self.source.read(&range)?,
            Read::Output(range) => {
                let file = self.files.partition_point(|start| *start <= range.offset).saturating_sub(1);
                self.targets.read(file, range.offset - self.files[file], range.length)?
            }
        };
        let done = task.run(bytes)?;
        let Step { writes, entry } = self.lock().job.complete(done)?;
        self.changed.notify_all();
        for write in &writes {
            self.targets.write(write)?;
        }
        let progress = {
            let mut state = self.lock();
            state.entries.extend(entry.into_iter().flatten());
            state.job.written(task.id)
        };
        if let (Some(progress), Some(report)) = (progress, self.options.progress) {
            let mut last = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            if progress.bytes_done >= *last {
                *last = progress.bytes_done;
                report(&progress);
            }
        }
        Ok(())
    }

    /// Writes entries once their bytes are on disk, until the work ends.
    fn keep_journal(&self, journal: &mut Journal) {
        let (mut pause, mut beaten) = (PAUSE, Instant::now());
        loop {
            let began = Instant::now();
            let mut state = self.lock();
            while !state.finished && state.error.is_none() && began.elapsed() < pause {
                let left = pause.saturating_sub(began.elapsed());
                state = self.wait(state, left);
            }
            if state.finished || state.error.is_some() {
                return;
            }
            let entries = std::mem::take(&mut state.entries);
            drop(state);
            let began = Instant::now();
            if !entries.is_empty()
                && let Err(error) = self.targets.log(journal, &entries)
            {
                self.fail(error);
                return;
            }
            pause = PAUSE.max(began.elapsed() * SHARE);
            if beaten.elapsed() > HEARTBEAT {
                self.targets.beat();
                beaten = Instant::now();
            }
        }
    }
}
