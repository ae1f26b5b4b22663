//! The error and size of scales per tensor, per channel and per group, from 8 to 2 bits.
//!
//! `cargo run --example granularity`

use quantpress::affine::{GranularityError, QuantGranularity, QuantMode, compare_granularities, quantize_tensor};
use quantpress::bench::generate_multi_channel_weights;

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    run().map(|_| ())
}

/// Prints the table and returns its rows: three granularities for each bit width.
pub fn run() -> quantpress::Result<Vec<GranularityError>> {
    // Rows with different magnitudes, as in real weights.
    let shape = [64, 512];
    let weights = generate_multi_channel_weights(shape[0], shape[1], 20.0, Some(1))?;
    let granularities = [
        QuantGranularity::PerTensor,
        QuantGranularity::PerChannel { axis: 0 },
        QuantGranularity::PerGroup { size: 128 },
    ];
    let mut rows = Vec::new();
    println!("{:4} {:28} {:>12} {:>10}", "bits", "granularity", "mse", "bytes");
    for bits in [8, 6, 4, 3, 2] {
        for row in compare_granularities(&weights, &shape, bits, QuantMode::Symmetric, &granularities)? {
            println!("{bits:4} {:28} {:12.3e} {:10}", format!("{:?}", row.granularity), row.mse, row.memory_bytes);
            rows.push(row);
        }
    }
    // A tensor serialized with everything needed to read it again.
    let tensor = quantize_tensor(&weights, &shape, granularities[2], QuantMode::Asymmetric, 4)?;
    println!("4 bits in groups of 128, asymmetric: {} bytes with their header", tensor.to_bytes().len());
    Ok(rows)
}
