//! What a conversion did.

use crate::analysis::ErrorSums;
use crate::shared::Name;
use serde::Serialize;

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// Bytes of the source's tensors that were read, in all.
    pub source_bytes: u64,
    /// Bytes of the output: of all files together.
    pub size: u64,
    /// Bytes of the source that an earlier run had done already.
    pub bytes_resumed: u64,
    /// SHA-256 of the output, in hexadecimal, of several files as if they stood end to end; if hashes were wanted.
    pub sha256: Option<String>,
    /// The files, in order.
    pub shards: Vec<ReportedShard>,
    /// The tensors, in the order of the output.
    pub tensors: Vec<ReportedTensor>,
}

/// One of the files that were written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReportedShard {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, in hexadecimal; if hashes were wanted.
    pub sha256: Option<String>,
}

/// What became of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ReportedTensor {
    /// Its name in the output.
    pub name: Name,
    /// The type it had.
    pub from: &'static str,
    /// The type it got.
    pub to: &'static str,
    /// The rule that decided.
    pub why: Name,
    /// How many weights it has.
    pub weights: u64,
    /// Bytes in the source.
    pub source_bytes: u64,
    /// Bytes in the output.
    pub bytes: u64,
    /// What was lost; if a report of errors was wanted.
    pub error: Option<ErrorFigures>,
    /// The hashes of its bytes; if hashes were wanted.
    pub hashes: Option<TensorHashes>,
}

/// The hashes of a tensor's bytes in the output, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorHashes {
    /// SHA-256.
    pub sha256: String,
    /// XXH64.
    pub xxh64: String,
}

/// How far a tensor is from what it was; `x` is a weight, `y` what it came back as, `e = y - x`, `w` the importance of its
/// column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorFigures {
    /// `sqrt(mean e^2)`, in the unit of the weights.
    pub rmse: f64,
    /// `sqrt(sum e^2 / sum x^2)`: the error as a share of the weights.
    pub relative_rmse: f64,
    /// Signal to quantization noise, `10 log10(sum x^2 / sum e^2)` dB; infinite only where nothing changed.
    pub sqnr_db: f64,
    /// `sum x y / sqrt(sum x^2 sum y^2)`; 1 if both are all zeros, 0 if one is.
    pub cosine: f64,
    /// The largest `|e|`.
    pub max_error: f64,
    /// `sqrt(sum w e^2 / sum w x^2)`; with importance.
    pub weighted_error: Option<f64>,
}

impl ErrorFigures {
    /// The figures of sums; `weighted` if there was importance.
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
