//! The report of a conversion.

use crate::analysis::{DistortionSums, WeightError, stats};
use crate::interning::Name;
use crate::recipe::PlannedTensor;
use serde::{Serialize, Serializer};
use std::fmt;

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
    /// The weight error of the output, see [`WeightError`], if errors were requested.
    pub weight_error: Option<f64>,
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

/// The hashes of a tensor's data in the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TensorHashes {
    /// SHA-256.
    pub sha256: HashValue<32>,
    /// XXH64.
    pub xxh64: HashValue<8>,
}

impl TensorHashes {
    /// Reads hashes in hexadecimal.
    pub(super) fn from_hex(sha256: &str, xxh64: &str) -> Self {
        TensorHashes { sha256: HashValue::from_hex(sha256), xxh64: HashValue::from_hex(xxh64) }
    }
}

/// A hash. It is displayed, serialized and compared in hexadecimal, and takes half the memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashValue<const BYTES: usize>([u8; BYTES]);

impl<const BYTES: usize> HashValue<BYTES> {
    /// Reads hexadecimal digits; missing ones are 0.
    fn from_hex(digits: &str) -> Self {
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or_default() as u8;
            *byte = pair.iter().fold(0, |value, next| value << 4 | digit(next));
        }
        HashValue(bytes)
    }
}

impl<const BYTES: usize> fmt::Display for HashValue<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const BYTES: usize> fmt::Debug for HashValue<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl<const BYTES: usize> PartialEq<String> for HashValue<BYTES> {
    fn eq(&self, other: &String) -> bool {
        let digits = self.to_string();
        digits == *other
    }
}

impl<const BYTES: usize> Serialize for HashValue<BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A finished conversion, which creates the report of a tensor on request.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The report, without tensors.
    pub(super) report: Report,
    pub(super) tensors: Vec<PlannedTensor>,
    pub(super) sums: Vec<DistortionSums>,
    pub(super) hashes: Vec<TensorHashes>,
}

impl Finished {
    /// The report, without tensors.
    pub fn summary(&self) -> &Report {
        &self.report
    }

    /// The number of tensors.
    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// The report of a tensor, in the order of the output.
    pub fn tensor(&self, index: usize) -> Option<ReportedTensor> {
        let tensor = self.tensors.get(index)?;
        Some(ReportedTensor {
            name: tensor.name.clone(),
            from: tensor.from.name,
            to: tensor.to.name,
            why: tensor.why.clone(),
            weights: tensor.weights(),
            source_bytes: tensor.source_bytes,
            bytes: tensor.place.bytes,
            error: self.sums.get(index).map(|sums| ErrorFigures::of(sums, tensor.has_importance)),
            hashes: self.hashes.get(index).cloned(),
        })
    }

    /// The weight error of the output, if errors were requested.
    pub(super) fn weight_error(tensors: &[PlannedTensor], sums: &[DistortionSums]) -> Option<f64> {
        let mut error = WeightError::default();
        for (tensor, sums) in tensors.iter().zip(sums) {
            error.add(tensor.weights() as f64, Some(ErrorFigures::of(sums, false).relative_rmse));
        }
        error.value()
    }

    /// The whole report.
    pub fn into_report(self) -> Report {
        let tensors = (0..self.tensors.len()).filter_map(|index| self.tensor(index)).collect();
        Report { tensors, ..self.report }
    }
}

/// The error of a tensor, where `x` is a weight, `y` its dequantized value, `e = y - x`, and `w` the importance of its
/// column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ErrorFigures {
    /// RMS error `sqrt(mean e^2)`, in the unit of the weights.
    pub rmse: f64,
    /// `sqrt(sum e^2 / sum x^2)`: the RMS error relative to the RMS of the weights.
    pub relative_rmse: f64,
    /// Signal-to-quantization-noise ratio `10 log10(sum x^2 / sum e^2)` in dB; infinite only if nothing changed.
    pub sqnr_db: f64,
    /// Cosine similarity `sum x y / sqrt(sum x^2 sum y^2)`; 1 if both are all zeros, 0 if only one is.
    pub cosine_similarity: f64,
    /// The largest `|e|`.
    pub max_error: f64,
    /// `sqrt(sum w e^2 / sum w x^2)`, if there is importance.
    pub weighted_error: Option<f64>,
}

impl ErrorFigures {
    /// Computes the figures from sums; `weighted` if there is importance.
    pub fn of(sums: &DistortionSums, weighted: bool) -> Self {
        let DistortionSums { count, error, original, decoded, product, largest, .. } = *sums;
        ErrorFigures {
            rmse: if count == 0.0 { 0.0 } else { stats::rmse(error / count) },
            relative_rmse: stats::relative_rmse(error, original),
            sqnr_db: stats::sqnr_db(original, error),
            cosine_similarity: stats::cosine_similarity(product, original, decoded),
            max_error: largest,
            weighted_error: weighted.then(|| stats::relative_rmse(sums.weighted_error, sums.weighted_original)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_displayed_compared_and_serialized_as_it_was_parsed() {
        let digits = "00ff1234567890ab";
        let hash = HashValue::<8>::from_hex(digits);
        assert_eq!(format!("{hash} {hash:?}"), format!("{digits} \"{digits}\""));
        assert_eq!(hash, digits.to_owned());
        assert_ne!(hash, HashValue::from_hex("00ff1234567890ac"));
        assert_eq!(serde_json::to_string(&hash).unwrap(), format!("\"{digits}\""));
    }
}
