//! Whole files: a conversion from path to path, with threads, resume, and the durability of a database.
//!
//! ```no_run
//! use quantpress::fs::{QuantizeOptions, quantize_file};
//! use quantpress::recipe::Recipe;
//!
//! let recipe = Recipe { preset: "Q4_K_M".to_owned(), ..Recipe::default() };
//! let report = quantize_file("model-f16.gguf", "model-Q4_K_M.gguf", &recipe, &QuantizeOptions::default())?;
//! println!("{} bytes", report.size);
//! # Ok::<(), quantpress::Error>(())
//! ```
//!
//! The bytes are those that the npm package and `llama-quantize` write, whatever the number of threads. The output appears under
//! its name only when it is complete and on disk; no input is ever an output, whatever they are called; what an interrupted run
//! leaves can be resumed by the next, also by the npm package's.

mod errors;
mod folder;
mod model;
mod owner;
mod run;
mod same;
mod source;
mod target;

pub use errors::{ABORTED, SAME_FILE};

use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Kind, Result};
use crate::hash::Hasher;
use crate::job::{ByteRange, Identity, Job, JobOptions, Journal, Progress, Report};
use crate::recipe::Recipe;
use model::Model;
use same::{Use, refuse_shared};
use source::Source;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use target::Targets;

/// Options of [`quantize_file`].
#[derive(Default)]
#[non_exhaustive]
pub struct QuantizeOptions<'a> {
    /// Threads that encode; as many as there are cores, if it is `None`.
    pub threads: Option<NonZero<usize>>,
    /// The importance matrix: a file of `llama-imatrix` in either of its forms.
    pub imatrix: Option<PathBuf>,
    /// Resumes what an interrupted run of the same job has left beside the output, if there is some. If this run is interrupted or
    /// fails for a reason that may pass, it leaves its work for the next.
    pub resume: bool,
    /// Computes hashes of the files and of each tensor, for the report.
    pub hashes: bool,
    /// Measures what is lost of each tensor, for the report.
    pub errors: bool,
    /// Called after every tile that was written, from any thread, one call at a time.
    pub progress: Option<&'a (dyn Fn(&Progress) + Sync)>,
    /// Set to true, it stops the work; the error is [`ABORTED`].
    pub abort: Option<&'a AtomicBool>,
}

impl QuantizeOptions<'_> {
    fn threads(&self) -> usize {
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        threads.map_or(1, NonZero::get)
    }
}

/// Quantizes a model: the bytes `llama-quantize` writes for the same model, preset and options.
///
/// `input` is a GGUF file, the first of several, a safetensors file, an index of such files, or a Hugging Face folder. Where the
/// recipe splits the output, `output` is what the names begin with: `model.gguf` gives `model-00001-of-00003.gguf`.
///
/// # Errors
/// Those of planning ([`recipe::plan`](crate::recipe::plan)) and encoding, told of the tensor; [`SAME_FILE`] if a file that would
/// be written is one that is read; [`Code::CHANGED`] if the source was changed, or if what is to be resumed is of another source,
/// recipe, importance matrix or engine; [`Code::BUSY`] if another run is at work; [`ABORTED`]; why a file cannot be read or written
/// ([`Code::NOT_FOUND`], [`Code::DENIED`], [`Code::NO_SPACE`], [`Code::IO`]). Unless `resume` is set, nothing is left behind.
pub fn quantize_file(
    input: impl AsRef<Path>,
    output: impl AsRef<Path>,
    recipe: &Recipe,
    options: &QuantizeOptions<'_>,
) -> Result<Report> {
    let (input, output) = (input.as_ref(), output.as_ref());
    let model = Model::open(input)?;
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
    let window = 4 * options.threads();
    JobOptions { hashes: options.hashes, errors: options.errors, journal: true, window, ..JobOptions::default() }
}

/// Runs a job, and leaves what the options say if it fails.
fn convert(
    mut job: Job,
    source: &Source,
    mut targets: Targets,
    left: Option<Vec<u8>>,
    identity: &Identity,
    options: &QuantizeOptions<'_>,
) -> Result<Report> {
    let done = begin(&mut job, &mut targets, left, identity).and_then(|journal| {
        let job = run::run(job, source, &targets, journal, options)?;
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

/// Takes over an earlier run's work, or begins anew; writes the headers.
fn begin(job: &mut Job, targets: &mut Targets, left: Option<Vec<u8>>, identity: &Identity) -> Result<target::Journal> {
    let known = left.as_deref().and_then(Journal::parse);
    let resumed = known.is_some();
    match known {
        Some(known) => job.resume(identity, known)?,
        // Without its first line a journal says nothing of what is there.
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

/// Whether a run that failed so leaves its work: not if that could only fail again.
fn keeps_after(error: &Error) -> bool {
    // What is there is another job's, or of a source that was changed meanwhile.
    let of_another = error.details().iter().any(|(name, _)| *name == "changed");
    of_another || (error.code().kind == Kind::Io && error.code() != Code::CHANGED)
}

/// The files that are written, and their sizes.
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
    let uses = |role: &'static str, paths: Vec<PathBuf>| paths.into_iter().map(move |path| Use { role, path });
    let reads = uses("the model", model.source.paths().map(Path::to_owned).collect());
    let reads = reads.chain(uses("a file of the model", model.beside.clone()));
    let reads: Vec<Use> =
        reads.chain(uses("the importance matrix", options.imatrix.iter().cloned().collect())).collect();
    let outputs: Vec<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    let temporary = outputs.iter().flat_map(|path| target::unfinished_names(path)).collect();
    let writes: Vec<Use> =
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
