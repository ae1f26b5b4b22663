//! Untrusted input: replays the corpus of the fuzz targets (fuzz/) and everything they ever found, with a few thousand
//! mutations of both. A failure prints its bytes. `QUANTPRESS_SEED=7` selects other mutations than the fixed ones of
//! every run; searching for new failures is the task of `npm run fuzz`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

#[path = "../fuzz/src/targets.rs"]
mod targets;
#[path = "../fuzz/src/thrift.rs"]
mod thrift;

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: thrift::Thrift = thrift::Thrift;

/// The number of mutations per target in one run, which take a second or two.
const RUNS: usize = 20_000;
/// The maximum size of an input: bugs in parsers also show in small files.
const MAX_BYTES: usize = 16384;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// The files of a folder of fuzz/, in order; empty if it does not exist.
fn files(kind: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Boundary values of counts, lengths and offsets.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(8) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        2 => bytes.truncate(at),
        3 => bytes.insert(at, random.next() as u8),
        4 => {
            // Replaces a number of 4 or 8 bytes by a boundary value.
            let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
            let width = if random.below(2) == 0 { 4 } else { 8 };
            for (byte, new) in bytes.iter_mut().skip(at).zip(edge).take(width) {
                *byte = new;
            }
        }
        5 => {
            // The same in text: replaces the digits from here by another number.
            let from = bytes[at..].iter().position(u8::is_ascii_digit).map_or(bytes.len(), |found| at + found);
            let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = EDGES[random.below(EDGES.len())].to_string();
            bytes.splice(from..from + digits, number.into_bytes());
        }
        6 => {
            // Inserts a piece of another input, or overwrites with it.
            let from = random.below(other.len());
            let piece = &other[from..(from + random.below(64)).min(other.len())];
            let until = if random.below(2) == 0 { at } else { (at + piece.len()).min(bytes.len()) };
            bytes.splice(at..until, piece.iter().copied());
        }
        _ => {
            // Repeats a piece of the same input.
            let piece = bytes[at..(at + random.below(64)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
    }
    bytes.truncate(MAX_BYTES);
}

fn run(name: &str, target: fn(&[u8]), bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name} panics on these {} bytes; keep them in fuzz/findings/{name}: {hex}", bytes.len());
    }
}

#[test]
fn all_findings_and_the_corpus_pass() {
    for &(name, target) in targets::TARGETS {
        let corpus = files("corpus", name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for bytes in corpus.iter().chain(&files("findings", name)) {
            run(name, target, bytes);
        }
    }
}

#[test]
fn mutations_pass() {
    let seed = env::var("QUANTPRESS_SEED").map_or(1, |seed| seed.parse().unwrap());
    for &(name, target) in targets::TARGETS {
        let seeds = [files("corpus", name), files("findings", name)].concat();
        let mut random = Random(seed);
        for _ in 0..RUNS {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            let other = &seeds[random.below(seeds.len())];
            for _ in 0..=random.below(4) {
                mutate(&mut bytes, other, &mut random);
            }
            run(name, target, &bytes);
        }
    }
}
