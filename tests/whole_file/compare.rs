//! The comparison: runs every case with both, with as many threads as there are processors.

use super::cases::{self, Case};
use super::llama::Reference;
use crate::support::convert::{convert, header, sha256};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::recipe::Recipe;
use quantpress::{Code, Error};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const SEED: &str = "QUANTPRESS_SEED";

#[derive(Debug, Default)]
struct Tally {
    equal: usize,
    refused: usize,
    wrong: Vec<String>,
}

pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(u64::from(std::process::id()));
    let folder = std::env::temp_dir().join(format!("quantpress-whole-file-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    if let Some(path) = std::env::var_os("QUANTPRESS_RECORD") {
        record(&folder, Path::new(&path));
        return ExitCode::SUCCESS;
    }
    let cases = cases::all(&folder, seed);
    let chosen: Vec<_> =
        cases.iter().filter(|case| words.iter().all(|word| case.name.contains(word.as_str()))).collect();
    let mut tally = run(&chosen, &folder);
    if words.is_empty() || words.iter().any(|word| word == "align64") {
        tally.wrong.extend(aligned(&folder));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    for line in &tally.wrong {
        println!("{line}");
    }
    let Tally { equal, refused, wrong } = tally;
    println!("{equal} files equal, {refused} refused by both, {} wrong (seed {seed})", wrong.len());
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(cases: &[&Case], folder: &Path) -> Tally {
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mut reference = Reference::new(&folder.join(format!("reference-{thread}")));
            let (next, tally) = (&next, &tally);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    compare(case, &mut reference, tally);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

fn compare(case: &Case, reference: &mut Reference, tally: &Mutex<Tally>) {
    let recipe: Recipe = serde_json::from_str(&case.recipe).unwrap();
    let matrix = case.importance.as_ref().map(|path| ImportanceMatrix::parse(&std::fs::read(path).unwrap()).unwrap());
    let ours = convert(&std::fs::read(&case.input).unwrap(), &recipe, matrix.as_ref());
    let theirs = reference.quantize(&case.input, &case.recipe, case.importance.as_deref());
    let mut tally = tally.lock().unwrap();
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => tally.equal += 1,
        (Err(ours), Err(theirs)) if same_reason(&ours, &theirs) => tally.refused += 1,
        (Err(ours), Err(theirs)) => {
            tally.wrong.push(format!("{}: refused for different reasons: ours {ours}; theirs {theirs}", case.name));
        }
        (Ok(ours), Ok(theirs)) => tally.wrong.push(format!("{}: {}", case.name, difference(&ours, &theirs))),
        (Ok(_), Err(error)) => tally.wrong.push(format!("{}: only the reference refuses: {error}", case.name)),
        (Err(error), Ok(_)) => tally.wrong.push(format!("{}: only we refuse: {error}", case.name)),
    }
}

/// The reference's messages for our error codes.
const REASONS: &[(Code, &str)] = &[
    (Code::NEEDS_IMPORTANCE, "requires an imatrix"),
    (Code::NEEDS_IMPORTANCE, "Missing importance matrix for tensor"),
    (Code::ARGUMENT, "requantizing from type"),
    (Code::UNSUPPORTED, "no tensor type fallback is defined"),
];

fn same_reason(ours: &Error, theirs: &str) -> bool {
    REASONS.iter().any(|(code, words)| ours.code() == *code && theirs.contains(words))
}

/// Checks files with an alignment of 64, for which our engine deliberately differs: the reference cannot load what it
/// writes itself, but must be able to load our file.
fn aligned(folder: &Path) -> Vec<String> {
    let input = folder.join("align64.gguf");
    let mut reference = Reference::new(&folder.join("aligned"));
    let (copy, smaller) = (r#"{ "preset": "COPY" }"#, r#"{ "preset": "Q4_0" }"#);
    let mut reads = |name: &str, file: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, file).unwrap();
        reference.quantize(&path, copy, None)
    };
    let recipe: Recipe = serde_json::from_str(smaller).unwrap();
    let ours = convert(&std::fs::read(&input).unwrap(), &recipe, None).unwrap();
    let mut wrong = Vec::new();
    if header(&ours).unwrap().alignment() != 64 {
        wrong.push("align64: our file states another alignment".to_owned());
    }
    wrong.extend(
        reads("ours.gguf", &ours).err().map(|error| format!("align64: the reference cannot read ours: {error}")),
    );
    let theirs = Reference::new(&folder.join("theirs")).quantize(&input, smaller, None).unwrap();
    if reads("theirs.gguf", &theirs).is_ok() {
        wrong.push("align64: the reference reads its own file now: compare bytes instead".to_owned());
    }
    wrong
}

/// Writes the reference's results for Tiny Whale to the fixture of `tests/whale.rs`.
fn record(folder: &Path, path: &Path) {
    let mut reference = Reference::new(&folder.join("record"));
    let mut lines = String::new();
    for case in cases::recorded() {
        let file = reference.quantize(&case.input, &case.recipe, case.importance.as_deref()).unwrap();
        let with = if case.importance.is_some() { "imatrix" } else { "plain" };
        lines.push_str(&format!("{} {with} {} {}\n", sha256(&file), file.len(), case.name));
    }
    std::fs::write(path, lines).unwrap();
}

/// Describes the first difference between two files.
fn difference(ours: &[u8], theirs: &[u8]) -> String {
    let (a, b) = (header(ours).unwrap(), header(theirs).unwrap());
    for (a, b) in a.metadata().zip(b.metadata()) {
        if a.raw != b.raw {
            return format!("metadata: ours {} = {:?}, theirs {} = {:?}", a.key, a.value(), b.key, b.value());
        }
    }
    for (a, b) in a.tensors().iter().zip(b.tensors()) {
        if (&a.name, a.dtype, &a.shape) != (&b.name, b.dtype, &b.shape) {
            return format!("tensor: ours {} {}, theirs {} {}", a.name, a.dtype.name, b.name, b.dtype.name);
        }
        let (start, end) = (a.offset as usize, (a.offset + a.bytes) as usize);
        if ours.get(start..end) != theirs.get(start..end) {
            return format!("bytes of {} ({})", a.name, a.dtype.name);
        }
    }
    format!("{} bytes, {} in the reference", ours.len(), theirs.len())
}
