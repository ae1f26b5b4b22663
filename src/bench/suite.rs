//! Error, size and time of all schemes on weights with known distributions.

use super::generators::{
    generate_gaussian_weights, generate_multi_channel_weights, generate_uniform_weights, generate_weights_with_outliers,
};
use crate::affine::{QuantGranularity, QuantMode};
use crate::allocation;
use crate::analysis::{Scheme, compare, compare_bit_widths};
use crate::error::{Code, Error, Result};
use crate::format::{bits_per_weight, formats};
use crate::nf4::DataType4Bit;
use crate::sort::sorted;
use serde::{Deserialize, Serialize};

/// The result of one scheme on one tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuantBenchmarkResult {
    /// The name of the data and the scheme, for display.
    pub name: String,
    /// The scheme.
    pub scheme: Scheme,
    /// The number of values quantized.
    pub num_elements: usize,
    /// Size in bytes: codes, scales, zero points.
    pub memory_bytes: usize,
    /// Bits stored per value.
    pub bits_per_weight: f64,
    /// Size of the values as f32 divided by `memory_bytes`.
    pub compression_ratio: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Largest absolute error.
    pub max_error: f64,
    /// Signal-to-quantization-noise ratio in decibels.
    pub sqnr_db: f64,
    /// Cosine similarity of the original and the dequantized values.
    pub cosine_similarity: f64,
    /// Milliseconds to quantize: the fastest of a few runs.
    pub encode_ms: f64,
    /// Milliseconds to dequantize: the fastest of a few runs.
    pub decode_ms: f64,
}

impl QuantBenchmarkResult {
    /// Fidelity and compression as one number: `sqnr_db - 6.02 bits_per_weight`, in decibels.
    ///
    /// One bit per weight is worth 6.02 dB, the slope of the rate-distortion function, for any quantizer at best. The
    /// score shows how well the bits are used: uniform codes on uniform data have 0.
    pub fn quality_score(&self) -> f64 {
        self.sqnr_db - 20.0 * std::f64::consts::LOG10_2 * self.bits_per_weight
    }
}

/// A collection of results to compare.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkSuite {
    /// The results in the order they were added.
    pub results: Vec<QuantBenchmarkResult>,
}

impl BenchmarkSuite {
    /// Adds a result.
    pub fn add(&mut self, result: QuantBenchmarkResult) {
        self.results.push(result);
    }

    /// The result with the highest SQNR.
    pub fn best_by_sqnr(&self) -> Option<&QuantBenchmarkResult> {
        self.results.iter().max_by(|a, b| a.sqnr_db.total_cmp(&b.sqnr_db))
    }

    /// The result with the lowest mean squared error.
    pub fn best_by_mse(&self) -> Option<&QuantBenchmarkResult> {
        self.results.iter().min_by(|a, b| a.mse.total_cmp(&b.mse))
    }

    /// All results, sorted by descending [quality score](QuantBenchmarkResult::quality_score).
    pub fn sorted_by_quality(&self) -> Vec<&QuantBenchmarkResult> {
        let results: Vec<_> = self.results.iter().collect();
        sorted(&results, |a, b| b.quality_score().total_cmp(&a.quality_score()))
    }
}

/// Quantizes a row-major tensor with a scheme and measures error, size and time; `clock` returns milliseconds.
///
/// # Errors
/// As for [`Scheme::encode`], and [`Code::NO_DATA`] if there are no values.
pub fn run_benchmark(
    name: &str,
    values: &[f32],
    shape: &[usize],
    scheme: &Scheme,
    clock: &mut dyn FnMut() -> f64,
) -> Result<QuantBenchmarkResult> {
    let (encoded, encode_ms) = fastest(clock, || scheme.encode(values, shape, None))?;
    let mut decoded = allocation::zeros(values.len())?;
    let ((), decode_ms) = fastest(clock, || encoded.decode_into(&mut decoded))?;
    let stats = compare(values, &decoded, 0.0)?;
    let memory_bytes = encoded.memory_bytes();
    Ok(QuantBenchmarkResult {
        name: name.to_owned(),
        scheme: scheme.clone(),
        num_elements: values.len(),
        memory_bytes,
        bits_per_weight: bits_per_weight(memory_bytes as u64, values.len() as u64),
        compression_ratio: size_of_val(values) as f64 / memory_bytes as f64,
        mse: stats.mse,
        max_error: stats.max_error,
        sqnr_db: stats.sqnr_db,
        cosine_similarity: stats.cosine_similarity,
        encode_ms,
        decode_ms,
    })
}

/// The shortest of up to three runs; slow work runs only once.
fn fastest<T>(clock: &mut dyn FnMut() -> f64, mut work: impl FnMut() -> Result<T>) -> Result<(T, f64)> {
    const ENOUGH_MS: f64 = 10.0;
    let mut least = f64::INFINITY;
    let mut total = 0.0;
    for run in 1.. {
        let start = clock();
        let result = work()?;
        let elapsed = (clock() - start).max(0.0);
        least = least.min(elapsed);
        total += elapsed;
        if run == 3 || total > ENOUGH_MS {
            return Ok((result, least));
        }
    }
    // Unreachable, because the range above is infinite.
    work().map(|result| (result, least))
}

/// The number of rows of every tensor in the full suite.
const CHANNELS: usize = 16;

/// Runs all schemes on gaussian, uniform, outlier and multi-channel weights: integers with 2, 3, 4, 6 and 8 bits,
/// symmetric and asymmetric, per tensor, per channel and in groups of 32; NF4, FP4, linear INT4, NF4 with double
/// quantization; and all block formats that can be written without an importance matrix.
///
/// Each tensor has 16 rows and about `size` values: row lengths are rounded down to a multiple of 256, at least 256.
/// With a seed the data (not the times) is always the same.
///
/// # Errors
/// [`Code::TOO_LARGE`] beyond 2^26 values, [`Code::UNSUPPORTED`] without a seed if the system has no entropy.
pub fn run_full_benchmark_suite(
    size: usize,
    seed: Option<u64>,
    clock: &mut dyn FnMut() -> f64,
) -> Result<BenchmarkSuite> {
    const MOST: usize = 1 << 26;
    if size > MOST {
        let message = format!("a suite with {size} values per tensor exceeds the limit of {MOST}");
        return Err(Error::new(Code::TOO_LARGE, message).with("size", size).with("max", MOST));
    }
    let row = (size / CHANNELS / 256).max(1) * 256;
    let (n, shape) = (CHANNELS * row, [CHANNELS, row]);
    let seed = |data: u64| seed.map(|seed| seed.wrapping_add(data));
    let tensors = [
        ("gaussian", generate_gaussian_weights(n, 0.0, 1.0, seed(0))?),
        ("uniform", generate_uniform_weights(n, -1.0, 1.0, seed(1))?),
        ("outliers", generate_weights_with_outliers(n, 0.01, 10.0, seed(2))?),
        ("channels", generate_multi_channel_weights(CHANNELS, row, 5.0, seed(3))?),
    ];
    let schemes = every_scheme()?;
    let mut suite = BenchmarkSuite::default();
    for (data, values) in &tensors {
        for scheme in &schemes {
            let name = format!("{data}: {}", scheme.name());
            suite.add(run_benchmark(&name, values, &shape, scheme, clock)?);
        }
    }
    Ok(suite)
}

fn every_scheme() -> Result<Vec<Scheme>> {
    let granularities = [
        QuantGranularity::PerTensor,
        QuantGranularity::PerChannel { axis: 0 },
        QuantGranularity::PerGroup { size: 32 },
    ];
    let mut schemes = Vec::new();
    for bits in [2, 3, 4, 6, 8] {
        for mode in [QuantMode::Symmetric, QuantMode::Asymmetric] {
            for granularity in granularities {
                schemes.push(Scheme::affine(bits, mode, granularity)?);
            }
        }
    }
    for (data_type, double_quant) in
        [(DataType4Bit::Nf4, false), (DataType4Bit::Nf4, true), (DataType4Bit::Fp4, false), (DataType4Bit::Int4, false)]
    {
        schemes.push(Scheme::FourBit { data_type, block_size: 64, double_quant });
    }
    let written = formats().iter().filter(|codec| codec.can_encode() && !codec.needs_importance && codec.weights > 1);
    schemes.extend(written.map(|codec| Scheme::block(codec.name)));
    Ok(schemes)
}

/// The loss of one bit width compared with eight bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BitWidthDegradation {
    /// Bits per code.
    pub bits: u8,
    /// Mean squared error.
    pub mse: f64,
    /// Signal-to-quantization-noise ratio in decibels.
    pub sqnr_db: f64,
    /// Mean squared error relative to that of eight bits: 1 at eight bits, above 1 for fewer; 1 if both are 0.
    pub degradation: f64,
    /// Size of the values as f32 divided by the size of packed codes and scale.
    pub compression_ratio: f64,
}

/// Error and actual compression ratio of symmetric per-tensor integers with 2 to 8 bits.
///
/// # Errors
/// [`Code::NO_DATA`] if there are no values, [`Code::NON_FINITE`].
pub fn compare_bit_width_degradation(values: &[f32]) -> Result<Vec<BitWidthDegradation>> {
    let widths = compare_bit_widths(values, QuantMode::Symmetric)?;
    let best = widths.last().map_or(0.0, |width| width.stats.mse);
    let row = |width: &crate::analysis::BitWidthError| BitWidthDegradation {
        bits: width.bits,
        mse: width.stats.mse,
        sqnr_db: width.stats.sqnr_db,
        degradation: if width.stats.mse == best { 1.0 } else { width.stats.mse / best },
        compression_ratio: width.compression_ratio,
    };
    Ok(widths.iter().map(row).collect())
}

/// The fraction of a task metric (accuracy, F1: larger is better) that quantization keeps: `quantized / original`.
///
/// 1 means no loss; above 1 is an improvement.
///
/// # Errors
/// [`Code::RANGE`] unless the original metric is positive, the quantized one is not negative, and both are finite.
pub fn accuracy_retention(original_metric: f64, quantized_metric: f64) -> Result<f64> {
    let sensible =
        original_metric > 0.0 && original_metric.is_finite() && (0.0..f64::INFINITY).contains(&quantized_metric);
    if !sensible {
        let message = format!("the retention of {quantized_metric} relative to {original_metric} is undefined");
        return Err(Error::new(Code::RANGE, message)
            .with("original", original_metric)
            .with("quantized", quantized_metric));
    }
    Ok(quantized_metric / original_metric)
}
