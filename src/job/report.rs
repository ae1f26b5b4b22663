//! The report of a conversion.

use crate::analysis::ErrorSums;
use crate::shared::Name;
use serde::Serialize;

/// The report of a conversion.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// Total size of the source's tensors in bytes.
    pub source_bytes: u64,
    /// Total size of the output files in bytes.
    pub size: u64,
    /// Bytes of the source that an earlier run had already done.
    pub bytes_resumed: u64,
    /// SHA-256 of the concatenated output files in hexadecimal, if hashes were requested.
    pub sha256: Option<String>,
    /// The files, in order.
    pub shards: Vec<ReportedShard>,
    /// The tensors, in the order of the output.
    pub tensors: Vec<ReportedTensor>,
}

/// An output file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReportedShard {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the file in hexadecimal, if hashes were requested.
    pub sha256: Option<String>,
}

/// The conversion of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReportedTensor {
    /// The name in the output.
    pub name: Name,
    /// The dtype in the input.
    pub from: &'static str,
    /// The dtype in the output.
    pub to: &'static str,
    /// The reason for the dtype.
    pub why: Name,
    /// The number of weights.
    pub weights: u64,
    /// Size in the source in bytes.
    pub source_bytes: u64,
    /// Size in the output in bytes.
    pub bytes: u64,
    /// The quantization error, if it was requested.
    pub error: Option<ErrorFigures>,
    /// The hashes of the data, if they were requested.
    pub hashes: Option<TensorHashes>,
}

/// The hashes of a tensor's data in the output, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorHashes {
    /// SHA-256.
    pub sha256: String,
    /// XXH64.
    pub xxh64: String,
}

/// The error of a tensor, where `x` is a weight, `y` its dequantized value, `e = y - x`, and `w` the importance of its
/// column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorFigures {
    /// RMS error `sqrt(mean e^2)`, in the unit of the weights.
    pub rmse: f64,
    /// `sqrt(sum e^2 / sum x^2)`: the RMS error relative to the RMS of the weights.
    pub relative_rmse: f64,
    /// Signal-to-quantization-noise ratio `10 log10(sum x^2 / sum e^2)` in dB; infinite only if nothing changed.
    pub sqnr_db: f64,
    /// Cosine similarity `sum x y / sqrt(sum x^2 sum y^2)`; 1 if both are all zeros, 0 if only one is.
    pub cosine: f64,
    /// The largest `|e|`.
    pub max_error: f64,
    /// `sqrt(sum w e^2 / sum w x^2)`, if there is importance.
    pub weighted_error: Option<f64>,
}

impl ErrorFigures {
    /// Computes the figures from sums; `weighted` if there is importance.
    pub fn of(sums: &ErrorSums, weighted: bool) -> Self {
        let ErrorSums { count, error, original, decoded, product, largest, .. } = *sums;
        let share = |error: f64, original: f64| if error == 0.0 { 0.0 } else { (error / original).sqrt() };
        let cosine = match (original == 0.0, decoded == 0.0) {
            (false, false) => (product / (original.sqrt() * decoded.sqrt())).clamp(-1.0, 1.0),
            (a, b) => f64::from(u8::from(a == b)),
        };
        ErrorFigures {
            rmse: if count == 0.0 { 0.0 } else { (error / count).sqrt() },
            relative_rmse: share(error, original),
            sqnr_db: if error == 0.0 { f64::INFINITY } else { 10.0 * libm::log10(original / error) },
            cosine,
            max_error: largest,
            weighted_error: weighted.then(|| share(sums.weighted_error, sums.weighted_original)),
        }
    }
}
