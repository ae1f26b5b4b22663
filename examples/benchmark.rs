//! The ten best schemes of the benchmark suite by quality, and the accuracy of a quantized classifier of handwritten
//! digits.
//!
//! `cargo run --release --example benchmark`

use quantpress::bench::digits::{AccuracyOptions, run_accuracy_benchmark};
use quantpress::bench::run_full_benchmark_suite;
use std::time::Instant;

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    let start = Instant::now();
    let mut clock = || start.elapsed().as_secs_f64() * 1e3;
    let suite = run_full_benchmark_suite(16_384, Some(1), &mut clock)?;
    println!(
        "{:48} {:>6} {:>8} {:>8} {:>9} {:>9}",
        "data: scheme", "bits", "SQNR dB", "quality", "encode ms", "decode ms"
    );
    for result in suite.sorted_by_quality().iter().take(10) {
        println!(
            "{:48} {:6.3} {:8.2} {:8.2} {:9.3} {:9.3}",
            result.name,
            result.bits_per_weight,
            result.sqnr_db,
            result.quality_score(),
            result.encode_ms,
            result.decode_ms
        );
    }

    let report = run_accuracy_benchmark(AccuracyOptions::default())?;
    println!("\ndigits: {:.2}% correct in floating point", 100.0 * report.original_accuracy);
    println!("{:4} {:>9} {:>16} {:>9}", "bits", "best PTQ", "by", "QAT");
    for qat in &report.qat {
        if let Some(ptq) = report.best_ptq(qat.bits) {
            let (a, b) = (100.0 * ptq.accuracy, 100.0 * qat.accuracy);
            println!("{:4} {a:7.2}% {:>16} {b:7.2}%", qat.bits, ptq.method.name());
        }
    }
    Ok(())
}
