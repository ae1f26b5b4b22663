//! The error of four bits per weight with different schemes, and the effect of outliers.
//!
//! `cargo run --example error_analysis`

use quantpress::affine::{QuantGranularity, QuantMode};
use quantpress::analysis::{
    Scheme, Signal, analyze_error_scheme, analyze_outlier_impact, compare_bit_widths, find_outliers, theoretical_sqnr,
};
use quantpress::bench::generate_weights_with_outliers;
use quantpress::nf4::DataType4Bit;

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    let shape = [64, 1024];
    let weights = generate_weights_with_outliers(64 * 1024, 0.0005, 12.0, Some(1))?;

    let group = QuantGranularity::PerGroup { size: 32 };
    let schemes = [
        Scheme::per_tensor(4, QuantMode::Symmetric)?,
        Scheme::affine(4, QuantMode::Asymmetric, group)?,
        Scheme::FourBit { data_type: DataType4Bit::Nf4, block_size: 64, double_quant: false },
        Scheme::block("Q4_0"),
        Scheme::block("Q4_K"),
    ];
    println!("{:32} {:>9} {:>9} {:>9} {:>9}", "scheme", "SQNR dB", "rmse", "max", "cosine");
    for scheme in schemes {
        let stats = analyze_error_scheme(&weights, &shape, &scheme, 0.0)?;
        let (name, rmse) = (scheme.name(), stats.rmse());
        println!("{name:32} {:9.2} {rmse:9.5} {:9.4} {:9.6}", stats.sqnr_db, stats.max_error, stats.cosine_similarity);
    }

    println!("\n{:4} {:>9} {:>9} {:>7}", "bits", "SQNR dB", "theory", "ratio");
    for width in compare_bit_widths(&weights, QuantMode::Symmetric)? {
        let theory = theoretical_sqnr(width.bits, Signal::Uniform)?;
        println!("{:4} {:9.2} {theory:9.2} {:7.2}", width.bits, width.stats.sqnr_db, width.compression_ratio);
    }

    let outliers = find_outliers(&weights, 6.0, 3)?;
    let impact = analyze_outlier_impact(&weights, 99.9, 4, QuantMode::Symmetric)?;
    println!("\nfirst outliers {outliers:?}");
    println!(
        "clipping {} values at {:.3}: error {:.2} times smaller",
        impact.num_clipped, impact.threshold, impact.improvement
    );
    Ok(())
}
