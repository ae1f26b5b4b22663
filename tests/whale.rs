//! Tiny Whale with every preset, compared with the recorded sha256 of the output of llama.cpp's `llama_model_quantize`.
//!
//! The record is used where the reference cannot run. `tests/whole_file.rs` compares with the live reference and, with
//! `QUANTPRESS_RECORD=tests/fixtures/tiny-whale/quantized.txt`, updates the record.

use crate::support::convert::{convert, sha256};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::recipe::Recipe;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn every_preset_writes_the_recorded_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale");
    let model = std::fs::read(folder.join("tiny-whale-f16.gguf")).unwrap();
    let matrix = ImportanceMatrix::parse(&std::fs::read(folder.join("tiny-whale.imatrix.gguf")).unwrap()).unwrap();
    let record = std::fs::read_to_string(folder.join("quantized.txt")).unwrap();
    let lines: Vec<_> = record.lines().collect();
    assert_eq!(lines.len(), 37, "presets");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let [hash, with, size, preset] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
                    let recipe = Recipe::new(preset);
                    let file = convert(&model, &recipe, (with == "imatrix").then_some(&matrix)).unwrap();
                    assert_eq!(
                        (file.len().to_string().as_str(), sha256(&file).as_str()),
                        (size, hash),
                        "{preset} {with}"
                    );
                }
            });
        }
    });
}

#[test]
fn writes_the_file_of_llama_quantize() {
    // Output of `llama-quantize --imatrix tiny-whale.imatrix.gguf tiny-whale-f16.gguf OUT Q4_K_M`, as run by Tiny
    // Whale's authors.
    const HASH: &str = "1e0fd3ac6d2cdbd38aaffcd23fa7f6fd772d1e7910b0f065ae7de8a3e92bb3b0";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale");
    let model = std::fs::read(folder.join("tiny-whale-f16.gguf")).unwrap();
    let matrix = ImportanceMatrix::parse(&std::fs::read(folder.join("tiny-whale.imatrix.gguf")).unwrap()).unwrap();
    let recipe = Recipe::new("Q4_K_M").with_imatrix_file("tiny-whale.imatrix.gguf");
    assert_eq!(sha256(&convert(&model, &recipe, Some(&matrix)).unwrap()), HASH);
}

#[test]
fn both_formats_of_the_importance_matrix_give_the_same_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-whale");
    let read = |name: &str| ImportanceMatrix::parse(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    let (legacy, sums) = (read("tiny-whale.imatrix.dat"), read("tiny-whale.imatrix.gguf"));
    let names = |matrix: &ImportanceMatrix| matrix.entries().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&legacy), names(&sums));
    for (name, entry) in sums.entries() {
        // The legacy format was rounded once more when it was written.
        for (a, b) in entry.values.iter().zip(&legacy.get(name).unwrap().values) {
            assert!((a - b).abs() <= a.abs() * 3e-7, "{name}: {a} {b}");
        }
    }
    assert_eq!((legacy.chunks, &legacy.datasets), (sums.chunks, &sums.datasets));
}
