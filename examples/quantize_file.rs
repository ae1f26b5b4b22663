//! Quantizes a whole model file, with threads and progress; the output is byte-identical to that of `llama-quantize`.
//!
//! `cargo run --release --example quantize_file -- model-f16.gguf model-Q4_K_M.gguf Q4_K_M`; without arguments, it uses
//! the small model of the tests.

use quantpress::fs::{QuantizeOptions, quantize_file};
use quantpress::job::Progress;
use quantpress::recipe::Recipe;
use std::path::PathBuf;

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (input, output, preset) = match arguments.as_slice() {
        [input, output, preset] => (PathBuf::from(input), PathBuf::from(output), preset.clone()),
        _ => {
            let whale = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-whale/tiny-whale-f16.gguf");
            let output = std::env::temp_dir().join(format!("tiny-whale-Q4_K_M-{}.gguf", std::process::id()));
            (PathBuf::from(whale), output, "Q4_K_M".to_owned())
        }
    };
    let progress = |progress: &Progress| {
        eprint!("\r{} of {} bytes, {}        ", progress.bytes_done, progress.bytes_total, progress.tensor);
    };
    let options = QuantizeOptions::default().with_progress(&progress).with_errors(true).with_hashes(true);
    let recipe = Recipe::new(preset);
    let report = quantize_file(&input, &output, &recipe, &options)?;
    eprintln!();
    println!("quantized {} bytes of weights to a file of {} bytes", report.source_bytes, report.size);
    println!("sha256 {}", report.sha256.unwrap_or_default());
    for tensor in report.tensors.iter().filter(|tensor| tensor.from != tensor.to).take(5) {
        let error = tensor.error.map_or(0.0, |error| 100.0 * error.relative_rmse);
        println!("{:24} {:5} -> {:5} weight error {error:.2}%: {}", tensor.name, tensor.from, tensor.to, tensor.why);
    }
    if arguments.is_empty() {
        let _ = std::fs::remove_file(&output); // it is in the system's temporary folder
    }
    Ok(())
}
