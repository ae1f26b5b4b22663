//! Whole files: converts from path to path, with threads, resume and durable writes.
//!
//! ```no_run
//! use quantpress::fs::{QuantizeOptions, quantize_file};
//! use quantpress::recipe::Recipe;
//!
//! let recipe = Recipe::new("Q4_K_M");
//! let report = quantize_file("model-f16.gguf", "model-Q4_K_M.gguf", &recipe, &QuantizeOptions::default())?;
//! println!("{} bytes", report.size);
//! # Ok::<(), quantpress::Error>(())
//! ```
//!
//! The output is the same as that of the npm package and of `llama-quantize`, whatever the number of threads. It
//! appears under its name only when it is complete and on disk. An input is never overwritten, whatever the paths are.
//! An interrupted run can be resumed later, also by the npm package.

mod errors;
mod file_identity;
mod folder;
mod free_space;
mod inference;
mod model;
mod open;
mod partial_file;
mod source;
mod target;
mod threads;

pub use errors::{ABORTED, SAME_FILE};
pub use inference::RunnableModel;

use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Kind, Result};
use crate::hash::Hasher;
use crate::job::{ByteRange, Identity, Job, JobOptions, Journal, Progress, Report};
use crate::recipe::Recipe;
use crate::setters::setter;
use file_identity::{FileUse, refuse_shared};
use model::Model;
use source::Source;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use target::Targets;

/// Options of [`quantize_file`].
#[derive(Default)]
#[non_exhaustive]
pub struct QuantizeOptions<'a> {
    /// Number of threads that encode; by default the number of cores.
    pub threads: Option<NonZero<usize>>,
    /// The path of an importance matrix, written by `llama-imatrix` in either format.
    pub imatrix: Option<PathBuf>,
    /// Resumes an interrupted run of the same job whose files are next to the output, if there is one. If this run is
    /// interrupted, or fails for a reason that may be temporary, its work is kept for the next one.
    pub resume: bool,
    /// Computes hashes of the files and of each tensor for the report.
    pub hashes: bool,
    /// Measures the quantization error of each tensor for the report.
    pub errors: bool,
    /// Called after every tile that was written, from any thread, but never concurrently.
    pub progress: Option<&'a (dyn Fn(&Progress) + Sync)>,
    /// When set to true, stops the work with the error [`ABORTED`].
    pub abort: Option<&'a AtomicBool>,
}

impl<'a> QuantizeOptions<'a> {
    setter!(with_threads, threads: some NonZero<usize>);
    setter!(with_imatrix, imatrix: some into PathBuf);
    setter!(with_resume, resume: bool);
    setter!(with_hashes, hashes: bool);
    setter!(with_errors, errors: bool);
    setter!(with_progress, progress: some &'a (dyn Fn(&Progress) + Sync));
    setter!(with_abort, abort: some &'a AtomicBool);

    fn thread_count(&self) -> usize {
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        threads.map_or(1, NonZero::get)
    }
}

/// Quantizes a model. The output is the same as that of `llama-quantize` for the same model, preset and options.
///
/// `input` is a GGUF file, the first of several shards, a safetensors file, an index of such files, or a Hugging Face
/// folder. If the recipe splits the output, `output` is the base of the file names: `model.gguf` gives
/// `model-00001-of-00003.gguf`.
///
/// The presets `NF4` and `FP4` write a safetensors file of a safetensors model, without a `config.json`.
///
/// # Errors
/// The errors of planning ([`recipe::plan`](crate::recipe::plan)) and encoding, with the name of the tensor;
/// [`SAME_FILE`] if an output file is also an input; [`Code::CHANGED`] if the source has changed, or if the run to be
/// resumed has another source, recipe, importance matrix or engine; [`Code::BUSY`] if another run is writing the same
/// file; [`ABORTED`]; and I/O errors ([`Code::NOT_FOUND`], [`Code::DENIED`], [`Code::NO_SPACE`], [`Code::IO`]). Unless
/// `resume` is set, no partial files remain after an error.
pub fn quantize_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    recipe: &Recipe,
    options: &QuantizeOptions<'_>,
) -> Result<Report> {
    let (input, output) = (input.as_ref(), output.as_ref());
    let model = open::open(input)?;
    let importance = options.imatrix.as_deref().map(read_imatrix).transpose()?;
    let mut named = recipe.clone();
    if let Some(path) = options.imatrix.as_deref().filter(|_| recipe.imatrix_file.is_none()) {
        named.imatrix_file = Some(path.display().to_string());
    }
    let plan = model.plan(&named, importance.as_ref().map(|(matrix, _)| matrix))?;
    let header = model.header_bytes().min(model.source.size());
    let header = sha256(&model.source.read(&ByteRange { offset: 0, length: header, second: None })?);
    let state = format!("{} {} {header}", model.source.size(), model.source.fingerprint()?);
    let identity = Identity::new(&plan, recipe, state, importance.map_or(String::new(), |(_, hash)| hash));
    let job = Job::new(plan, job_options(options))?;
    let files = output_files(output, &job, recipe)?;
    refuse_shared_files(&model, options, &files)?;
    let (targets, left) = Targets::open(&files, options.resume)?;
    convert(job, &model.source, targets, left, &identity, options)
}

fn job_options(options: &QuantizeOptions<'_>) -> JobOptions {
    let window = 4 * options.thread_count();
    JobOptions { hashes: options.hashes, errors: options.errors, journal: true, window, ..JobOptions::default() }
}

/// Runs a job and, if it fails, keeps or removes the partial output depending on the options.
fn convert(
    mut job: Job,
    source: &Source,
    mut targets: Targets,
    left: Option<Vec<u8>>,
    identity: &Identity,
    options: &QuantizeOptions<'_>,
) -> Result<Report> {
    let done = begin(&mut job, &mut targets, left, identity).and_then(|journal| {
        let job = threads::run(job, source, &targets, journal, options)?;
        source.check()?;
        job.finish()
    });
    match done {
        Ok(report) => targets.close().map(|()| report),
        Err(error) if options.resume && keeps_after(&error) => {
            targets.suspend();
            Err(error)
        }
        Err(error) => {
            targets.abort();
            Err(error)
        }
    }
}

/// Resumes an earlier run or starts from scratch, and writes the headers.
fn begin(job: &mut Job, targets: &mut Targets, left: Option<Vec<u8>>, identity: &Identity) -> Result<target::Journal> {
    let known = left.as_deref().and_then(Journal::parse);
    let resumed = known.is_some();
    match known {
        Some(known) => job.resume(identity, known)?,
        // Without its first line a journal is useless.
        None if left.is_some() => targets.begin_anew()?,
        None => {}
    }
    let mut journal = targets.journal()?;
    if !resumed {
        targets.log(&mut journal, &identity.head())?;
    }
    for write in job.start() {
        targets.write(&write)?;
    }
    Ok(journal)
}

/// Whether the work is kept after this error: not if a resumed run would fail in the same way.
fn keeps_after(error: &Error) -> bool {
    // The partial output belongs to another job, or to a source that has changed in the meantime.
    let of_another = error.details().iter().any(|(name, _)| *name == "changed");
    of_another || (error.code().kind == Kind::Io && error.code() != Code::CHANGED)
}

/// The output files and their sizes.
fn output_files(output: &Path, job: &Job, recipe: &Recipe) -> Result<Vec<(PathBuf, u64)>> {
    let text = output.as_os_str().to_string_lossy();
    if text.is_empty() || text.ends_with(std::path::is_separator) || output.file_name().is_none() {
        let message = format!("cannot write '{text}': it is not the path of a file; add a file name");
        return Err(Error::new(Code::ARGUMENT, message).with("path", text.as_ref()));
    }
    let sizes = job.files().iter().map(|file| file.size);
    if !recipe.keep_split && recipe.split_max_size.is_none() {
        return Ok(sizes.map(|size| (output.to_owned(), size)).collect());
    }
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let stem =
        name.get(..name.len().saturating_sub(5)).filter(|_| name.to_lowercase().ends_with(".gguf")).unwrap_or(&name);
    let count = sizes.len();
    let path = |index: usize| output.with_file_name(format!("{stem}-{:05}-of-{count:05}.gguf", index + 1));
    Ok(sizes.enumerate().map(|(index, size)| (path(index), size)).collect())
}

fn refuse_shared_files(model: &Model, options: &QuantizeOptions<'_>, files: &[(PathBuf, u64)]) -> Result<()> {
    let uses = |role: &'static str, paths: Vec<PathBuf>| paths.into_iter().map(move |path| FileUse { role, path });
    let reads = uses("the model", model.source.paths().map(Path::to_owned).collect());
    let reads = reads.chain(uses("a file of the model", model.sidecars.clone()));
    let reads: Vec<FileUse> =
        reads.chain(uses("the importance matrix", options.imatrix.iter().cloned().collect())).collect();
    let outputs: Vec<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    let temporary = outputs.iter().flat_map(|path| target::unfinished_names(path)).collect();
    let writes: Vec<FileUse> =
        uses("the output", outputs).chain(uses("a temporary file of the output", temporary)).collect();
    refuse_shared(&reads, &writes)
}

fn read_imatrix(path: &Path) -> Result<(ImportanceMatrix, String)> {
    let mut source = Source::default();
    source.add(path)?;
    let bytes = source.read(&ByteRange { offset: 0, length: source.size(), second: None })?;
    let matrix = ImportanceMatrix::parse(&bytes).map_err(|error| error.within(&path.display().to_string()))?;
    Ok((matrix, sha256(&bytes)))
}

fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.hex()
}
