//! llama.cpp's `llama_model_quantize`, called in a separate process because it asserts on some inputs.
//!
//! One process handles one job after another, as lines of input and output, because its tables for the smallest formats
//! take long to build. A process that asserts has rejected its job, and the next job gets a new process.
#![allow(unsafe_code)] // calls a C library; every call states why it is sound

use crate::support::ggml::Ggml;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use quantpress::container::gguf::TensorType;
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::recipe::{KvOverride, OverrideValue, Preset, Recipe};
use std::ffi::{CString, c_char};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Set in the process that calls the library.
const WORKER: &str = "QUANTPRESS_LLAMA_WORKER";

/// A job for the reference: `[input, output, recipe, importance]`, where the last is a path or empty.
type Job = (PathBuf, PathBuf, String, PathBuf);

#[repr(C)]
struct Params {
    threads: i32,
    ftype: i32,
    output_type: u32,
    embedding_type: u32,
    allow_requantize: bool,
    quantize_output: bool,
    only_copy: bool,
    pure: bool,
    keep_split: bool,
    dry_run: bool,
    imatrix: *const Imatrix,
    overrides: *const Override,
    tensor_types: *const TensorTypes,
    prune_layers: *const i32,
    max_buffer: usize,
}

#[repr(C)]
struct Imatrix {
    name: *const c_char,
    data: *const f32,
    size: usize,
}

#[repr(C)]
struct TensorTypes {
    pattern: *const c_char,
    kind: u32,
}

#[repr(C)]
struct Override {
    tag: i32,
    key: [u8; 128],
    value: [u64; 16],
}

const _: () = assert!(size_of::<Params>() == 64 && size_of::<Override>() == 264);

/// `GGML_TYPE_COUNT`, which means "not given".
const NO_TYPE: u32 = 43;

/// Runs the worker if this process is one, and exits.
pub fn serve() {
    if std::env::var_os(WORKER).is_none() {
        return;
    }
    let libraries = Libraries::load();
    for line in std::io::stdin().lines() {
        let (input, output, recipe, importance): Job = serde_json::from_str(&line.unwrap()).unwrap();
        let recipe: Recipe = serde_json::from_str(&recipe).unwrap();
        let importance = (importance != Path::new(""))
            .then(|| ImportanceMatrix::parse(&std::fs::read(importance).unwrap()).unwrap());
        let done = libraries.quantize(&input, &output, &recipe, importance);
        println!("{}", if done { "done" } else { "refused" });
    }
    std::process::exit(0);
}

/// A process that calls the reference.
pub struct Reference {
    output: PathBuf,
    log: PathBuf,
    process: Option<(Child, BufReader<ChildStdout>)>,
}

impl Reference {
    /// `place` is the prefix of the paths of its files.
    pub fn new(place: &Path) -> Self {
        Reference { output: place.with_extension("gguf"), log: place.with_extension("log"), process: None }
    }

    /// The file written by the reference, or the last lines it printed if it rejected the job.
    pub fn quantize(&mut self, input: &Path, recipe: &str, importance: Option<&Path>) -> Result<Vec<u8>, String> {
        let importance = importance.unwrap_or(Path::new(""));
        let job: Job = (input.into(), self.output.clone(), recipe.into(), importance.into());
        let log = &self.log;
        let (child, answers) = self.process.get_or_insert_with(|| spawn(log));
        writeln!(child.stdin.as_mut().unwrap(), "{}", serde_json::to_string(&job).unwrap()).unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        let file = std::fs::read(&self.output);
        let _ = std::fs::remove_file(&self.output);
        if answer.trim() == "done" {
            return Ok(file.unwrap());
        }
        if answer.is_empty() {
            self.stop();
        }
        let log = String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned();
        let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        Err(lines[lines.len().saturating_sub(2)..].join(" | "))
    }

    fn stop(&mut self) {
        if let Some((mut child, _)) = self.process.take() {
            drop(child.stdin.take()); // the process ends at the end of its input
            child.wait().unwrap();
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(log: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(WORKER, "1").env("GGML_NO_BACKTRACE", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(std::fs::File::create(log).unwrap()).spawn().unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    (child, answers)
}

/// The paths of the libraries, next to ggml's.
fn libraries() -> [PathBuf; 3] {
    let ggml = Ggml::path();
    let folder = ggml.parent().unwrap();
    let find = |start: &str| {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> =
            files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(start)).collect();
        found.sort();
        found.remove(0)
    };
    [ggml.clone(), find("libggml.v"), find("libllama.v")]
}

/// The loaded libraries; the last is llama.cpp's.
struct Libraries([Library; 3]);

impl Libraries {
    fn load() -> Self {
        // SAFETY: loading runs the libraries' initializers, which only set up their own tables.
        Libraries(libraries().map(|path| unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }.unwrap()))
    }

    fn quantize(&self, input: &Path, output: &Path, recipe: &Recipe, importance: Option<ImportanceMatrix>) -> bool {
        call(&self.0[2], input, output, recipe, importance)
    }
}

fn call(llama: &Library, input: &Path, output: &Path, recipe: &Recipe, importance: Option<ImportanceMatrix>) -> bool {
    let preset = Preset::by_name(&recipe.preset).unwrap();
    let kind = |name: &Option<String>| name.as_ref().map_or(NO_TYPE, |name| TensorType::by_name(name).unwrap().id);
    let importance = importance.and_then(|matrix| filtered(matrix, recipe));
    let overrides = overrides(recipe, importance.as_ref());
    let names: Vec<_> =
        importance.iter().flat_map(|m| m.entries()).map(|(name, _)| CString::new(name).unwrap()).collect();
    let entries = importance.iter().flat_map(|matrix| matrix.entries()).zip(&names).map(|((_, entry), name)| Imatrix {
        name: name.as_ptr(),
        data: entry.values.as_ptr(),
        size: entry.values.len(),
    });
    let end = Imatrix { name: std::ptr::null(), data: std::ptr::null(), size: 0 };
    let imatrix: Vec<_> = entries.chain([end]).collect();
    // llama-quantize converts patterns to lower case, including their escapes; our engine deliberately differs there.
    let lowered = |pattern: &str| if pattern.contains(r"\D") { pattern.to_owned() } else { pattern.to_lowercase() };
    let patterns: Vec<_> =
        recipe.tensor_types.iter().map(|rule| CString::new(lowered(&rule.pattern)).unwrap()).collect();
    let rules = recipe.tensor_types.iter().zip(&patterns);
    let rules = rules.map(|(rule, pattern)| TensorTypes {
        pattern: pattern.as_ptr(),
        kind: TensorType::by_name(&rule.dtype).unwrap().id,
    });
    let tensor_types: Vec<_> = rules.chain([TensorTypes { pattern: std::ptr::null(), kind: NO_TYPE }]).collect();
    let mut pruned: Vec<i32> = recipe.prune_layers.iter().map(|layer| *layer as i32).collect();
    pruned.sort_unstable();
    pruned.dedup();
    pruned.push(-1);
    fn or_null<T>(given: bool, values: &[T]) -> *const T {
        if given { values.as_ptr() } else { std::ptr::null() }
    }
    let params = Params {
        threads: 1,
        ftype: preset.ftype as i32,
        output_type: kind(&recipe.output_tensor_type),
        embedding_type: kind(&recipe.token_embedding_type),
        allow_requantize: recipe.allow_requantize,
        quantize_output: !recipe.leave_output_tensor,
        only_copy: preset.is_copy(),
        pure: recipe.pure,
        keep_split: recipe.keep_split,
        dry_run: false,
        imatrix: or_null(importance.is_some(), &imatrix),
        overrides: or_null(overrides.len() > 1, &overrides),
        tensor_types: or_null(!recipe.tensor_types.is_empty(), &tensor_types),
        prune_layers: or_null(!recipe.prune_layers.is_empty(), &pruned),
        max_buffer: 0,
    };
    let path = |path: &Path| CString::new(path.to_str().unwrap()).unwrap();
    let (input, output) = (path(input), path(output));
    type Quantize = unsafe extern "C" fn(*const c_char, *const c_char, *const Params) -> u32;
    // SAFETY: the function and its parameters are declared as in llama.h of this version; every pointer outlives the
    // call, and every list ends with its terminator.
    unsafe {
        let quantize = llama.get::<Quantize>(b"llama_model_quantize").unwrap();
        quantize(input.as_ptr(), output.as_ptr(), &params) == 0
    }
}

/// Does what llama-quantize's main does for `--include-weights` and `--exclude-weights`.
fn filtered(mut matrix: ImportanceMatrix, recipe: &Recipe) -> Option<ImportanceMatrix> {
    matrix.retain(|name| !recipe.exclude_weights.iter().any(|part| name.contains(part.as_str())));
    if !recipe.include_weights.is_empty() {
        matrix.retain(|name| recipe.include_weights.iter().any(|part| name.contains(part.as_str())));
    }
    let any = matrix.entries().len() > 0;
    any.then_some(matrix)
}

/// The overrides that llama-quantize's main passes on: the user's, and its description of the importance matrix.
fn overrides(recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Vec<Override> {
    let mut list: Vec<_> = recipe.override_kv.iter().map(|text| KvOverride::parse(text).unwrap()).collect();
    let mut note = |key: &str, value| list.push(KvOverride { key: key.to_owned(), value });
    if let Some(matrix) = importance {
        if let Some(file) = &recipe.imatrix_file {
            note("quantize.imatrix.file", OverrideValue::String(file.clone()));
        }
        if let Some(dataset) = matrix.datasets.first() {
            note("quantize.imatrix.dataset", OverrideValue::String(dataset.clone()));
        }
        note("quantize.imatrix.entries_count", OverrideValue::Int(matrix.entries().len() as i64));
        if let Some(chunks) = matrix.chunks.filter(|chunks| *chunks > 0) {
            note("quantize.imatrix.chunks_count", OverrideValue::Int(chunks.into()));
        }
    }
    let end = Override { tag: 0, key: [0; 128], value: [0; 16] };
    list.iter().map(override_of).chain([end]).collect()
}

fn override_of(entry: &KvOverride) -> Override {
    let mut out = Override { tag: 0, key: [0; 128], value: [0; 16] };
    out.key[..entry.key.len()].copy_from_slice(entry.key.as_bytes());
    match &entry.value {
        OverrideValue::Int(value) => out.value[0] = *value as u64,
        OverrideValue::Float(value) => (out.tag, out.value[0]) = (1, value.to_bits()),
        OverrideValue::Bool(value) => (out.tag, out.value[0]) = (2, u64::from(*value)),
        OverrideValue::String(text) => {
            out.tag = 3;
            for (at, byte) in text.bytes().take(127).enumerate() {
                out.value[at / 8] |= u64::from(byte) << (at % 8 * 8);
            }
        }
    }
    out
}
