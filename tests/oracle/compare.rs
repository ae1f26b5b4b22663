//! The comparison: one worker process and one output line per format, with details of differences.

use crate::support::ggml::{Ggml, Row};
use crate::support::tally::Tally;
use crate::support::weights::{DISTRIBUTIONS, IMPORTANCE, Rng};
use quantpress::{Code, Codec, formats};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The environment variable with the format of a worker process.
const WORKER: &str = "QUANTPRESS_ORACLE_WORKER";
const SEED: &str = "QUANTPRESS_SEED";
/// The number of failed cases shown per format.
const SHOWN: usize = 6;

pub fn main() -> ExitCode {
    if let Ok(name) = std::env::var(WORKER) {
        return worker(&name);
    }
    if std::env::args().any(|arg| arg == "--write-golden") {
        return super::golden::write();
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let exact = |codec: &Codec| filters.iter().any(|filter| codec.name.eq_ignore_ascii_case(filter));
    let any_exact = formats().iter().any(exact);
    let wanted = |codec: &Codec| match any_exact {
        true => exact(codec),
        false => filters.is_empty() || filters.iter().any(|f| codec.name.contains(f.to_uppercase().as_str())),
    };
    let names: Vec<_> = formats().iter().filter(|codec| wanted(codec)).map(|codec| codec.name).collect();
    if names.is_empty() {
        return ExitCode::SUCCESS;
    }
    if let Err(error) = Ggml::load() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let seed = std::env::var(SEED).unwrap_or_else(|_| fresh_seed().to_string());
    println!("comparing {} formats with {} (seed {seed})", names.len(), Ggml::path().display());

    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !run_worker(name, &seed) {
                        failed.lock().unwrap().push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if failed.is_empty() {
        println!("all {} formats equal the reference", names.len());
        return ExitCode::SUCCESS;
    }
    println!("differing formats: {}; repeat with {SEED}={seed}", failed.join(", "));
    ExitCode::FAILURE
}

fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_nanos() as u64 ^ u64::from(std::process::id()) << 40
}

fn run_worker(name: &str, seed: &str) -> bool {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).env(WORKER, name).env(SEED, seed).stderr(Stdio::inherit()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    if !output.status.success() && output.status.code().is_none() {
        println!("{name}: the worker was killed ({})", output.status);
    }
    output.status.success()
}

fn worker(name: &str) -> ExitCode {
    let codec = formats().iter().find(|codec| codec.name == name).unwrap();
    let seed = std::env::var(SEED).unwrap().parse().unwrap_or_else(|_| panic!("{SEED} is a number"));
    let mut check = Check {
        ggml: Ggml::load().unwrap(),
        codec,
        rng: Rng::new(seed).fork(name),
        failures: Vec::new(),
        weights: 0,
        refused: 0,
        decoded: 0,
    };
    check.table();
    if codec.can_encode() {
        check.encoding();
    }
    check.random_bytes();
    check.report()
}

struct Check {
    ggml: Ggml,
    codec: &'static Codec,
    rng: Rng,
    failures: Vec<String>,
    weights: usize,
    refused: usize,
    decoded: usize,
}

impl Check {
    fn report(self) -> ExitCode {
        let Check { codec, failures, weights, refused, decoded, .. } = self;
        println!(
            "{:8} {:>9} weights encoded ({refused} rows refused by both), {decoded} decoded: {}",
            codec.name,
            weights,
            if failures.is_empty() { "equal".into() } else { format!("{} CASES DIFFER", failures.len()) }
        );
        for failure in failures.iter().take(SHOWN) {
            println!("  {failure}");
        }
        if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn expect(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(failure());
        }
    }

    /// Compares our table row with the reference: name, sizes, and whether importance is required.
    fn table(&mut self) {
        let codec = self.codec;
        let (ours, theirs) = ((codec.weights, codec.bytes), self.ggml.sizes(codec));
        self.expect(ours == theirs, || format!("{ours:?} weights and bytes per block, the reference has {theirs:?}"));
        let theirs = self.ggml.name(codec);
        self.expect(codec.name.eq_ignore_ascii_case(&theirs), || format!("the reference calls it {theirs}"));
        let theirs = self.ggml.needs_importance(codec);
        self.expect(!codec.can_encode() || codec.needs_importance == theirs, || {
            format!("the reference's need of importance is {theirs}")
        });
    }

    /// Row lengths: whole super-blocks and, for smaller blocks, also lengths that are not a multiple of 256.
    fn row_lengths(&self) -> Vec<usize> {
        let mut lengths = vec![256, 512, 1024];
        if self.codec.weights < 256 {
            lengths.extend([3 * self.codec.weights, 7 * self.codec.weights]);
        }
        lengths
    }

    fn encoding(&mut self) {
        self.ggml.prepare(self.codec);
        let quick = std::env::var_os("QUANTPRESS_QUICK").is_some();
        let lengths = self.row_lengths();
        // Ten distributions give a million weights per kind of importance.
        let per_case = if quick { 4_096 } else { 105_000 } / lengths.len();
        for (kind, importance) in IMPORTANCE {
            for (distribution, generate) in DISTRIBUTIONS {
                for &row in &lengths {
                    let case = format!("{distribution}, importance {kind}, rows of {row}");
                    let mut rng = self.rng.fork(&case);
                    let weights = generate(&mut rng, per_case.div_ceil(row) * row);
                    let importance = importance.map(|generate| generate(&mut rng, row));
                    self.case(&case, &weights, row, importance.as_deref());
                }
            }
        }
    }

    fn case(&mut self, case: &str, weights: &[f32], row: usize, importance: Option<&[f32]>) {
        let codec = self.codec;
        let row_bytes = row / codec.weights * codec.bytes;
        let mut out = vec![0; weights.len() / row * row_bytes];
        let ours = codec.encode_rows(weights, row, importance, &mut out);
        if codec.needs_importance && importance.is_none() {
            let code = ours.map_err(|error| error.code());
            return self.expect(code == Err(Code::NEEDS_IMPORTANCE), || format!("{case}: {code:?}"));
        }
        let theirs = self.ggml.encode_rows(codec, weights, row, importance);
        self.weights += weights.len();

        let mut tally = Tally::new(codec);
        let mut accepted = Vec::new();
        for (i, (weights, theirs)) in weights.chunks_exact(row).zip(&theirs).enumerate() {
            let out = &mut out[i * row_bytes..(i + 1) * row_bytes];
            // After an error the output is unspecified, so each row is encoded again.
            let ours = if ours.is_ok() { Ok(()) } else { codec.encode_rows(weights, row, importance, out) };
            match (ours.map_err(|error| error.code()), theirs) {
                (Ok(()), Row::Bytes(theirs)) => {
                    tally.bytes(i * row / codec.weights, out, theirs);
                    accepted.extend_from_slice(out);
                }
                (Err(Code::UNREPRESENTABLE), Row::Invalid | Row::Aborted) => self.refused += 1,
                (ours, theirs) => {
                    let theirs = match theirs {
                        Row::Bytes(_) => "valid bytes",
                        Row::Invalid => "bytes it calls invalid",
                        Row::Aborted => "aborted",
                    };
                    self.expect(false, || format!("{case}: row {i}: ours {ours:?}, the reference: {theirs}"));
                }
            }
        }
        if let Some(report) = tally.report() {
            self.expect(false, || format!("{case}: encode: {report}"));
        }
        self.decoding(case, &accepted);
    }

    /// Random bytes that no encoder writes: every bit pattern must decode as in the reference.
    fn random_bytes(&mut self) {
        let blocks =
            if std::env::var_os("QUANTPRESS_QUICK").is_some() { 1 << 14 } else { 1 << 20 } / self.codec.weights;
        let bytes = self.rng.fork("random bytes").bytes(blocks * self.codec.bytes);
        let theirs = reference_verdicts(&self.ggml, self.codec, &bytes).unwrap_or_default();
        for (i, (block, theirs)) in bytes.chunks_exact(self.codec.bytes).zip(theirs).enumerate() {
            let ours = self.codec.validate(block).is_ok();
            self.expect(ours == theirs, || format!("random block {i}: valid is {ours}, the reference says {theirs}"));
        }
        self.decoding("random bytes", &bytes);
    }

    fn decoding(&mut self, case: &str, bytes: &[u8]) {
        let codec = self.codec;
        let Some(theirs) = reference_weights(&self.ggml, codec, bytes) else { return };
        let mut ours = vec![f32::NAN; theirs.len()];
        codec.decode(bytes, &mut ours).unwrap();
        self.decoded += ours.len();
        let mut tally = Tally::new(codec);
        tally.weights(&ours, &theirs);
        if let Some(report) = tally.report() {
            self.expect(false, || format!("{case}: decode: {report}"));
        }
    }
}

/// The reference's decoding of `bytes`; `None` if it has no decoder for the format.
pub fn reference_weights(ggml: &Ggml, codec: &Codec, bytes: &[u8]) -> Option<Vec<f32>> {
    match codec.name {
        // The reference has no decoder for these: F32 needs none, and Q8_1 is Q8_0 with a sum after the scale.
        "F32" => Some(bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect()),
        "Q8_1" => {
            let q8_0 = Codec::by_name("Q8_0").unwrap();
            let blocks = bytes.chunks_exact(codec.bytes);
            let without_sum: Vec<u8> = blocks.flat_map(|block| [&block[..2], &block[4..]].concat()).collect();
            ggml.decode(q8_0, &without_sum)
        }
        _ => ggml.decode(codec, bytes),
    }
}

/// Whether the reference accepts each block; `None` for a type it cannot validate (it rejects Q8_1 even if all bytes
/// are zero).
pub fn reference_verdicts(ggml: &Ggml, codec: &Codec, bytes: &[u8]) -> Option<Vec<bool>> {
    let known = ggml.validate(codec, &vec![0; codec.bytes], codec.bytes) == [true];
    known.then(|| ggml.validate(codec, bytes, codec.bytes))
}
