//! The error and the size of a granularity.

use super::granularity::QuantGranularity;
use super::quantize::{dequantize_tensor_into, quantize_tensor};
use super::scheme::QuantMode;
use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::validation;

/// The mean squared error `mean((original - decoded)^2)`, summed in double precision.
///
/// # Errors
/// [`Code::LENGTH`] if the lengths differ, [`Code::NO_DATA`] if they are empty, [`Code::NON_FINITE`] with the index of
/// the first NaN or infinite value.
pub fn quantization_mse(original: &[f32], decoded: &[f32]) -> Result<f64> {
    validation::length("the decoded tensor", decoded.len(), original.len())?;
    if original.is_empty() {
        return Err(Error::new(Code::NO_DATA, "the mean error of an empty tensor is undefined"));
    }
    // Eight partial sums: faster than one, and closer to the exact sum.
    let mut sums = [0.0f64; 8];
    let mut add = |lane: usize, a: f32, b: f32| {
        let error = f64::from(a) - f64::from(b);
        sums[lane] += error * error;
    };
    let ((a, a_tail), (b, b_tail)) = (original.as_chunks::<8>(), decoded.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            add(lane, a[lane], b[lane]);
        }
    }
    for (lane, (&a, &b)) in a_tail.iter().zip(b_tail).enumerate() {
        add(lane, a, b);
    }
    let sum = sums.iter().sum::<f64>();
    // Squares of finite floats cannot overflow a sum of doubles.
    if !sum.is_finite() {
        validation::finite(original, "original value")?;
        validation::finite(decoded, "decoded value")?;
    }
    Ok(sum / original.len() as f64)
}

/// The error and size of one granularity.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GranularityError {
    /// Which values shared a scale.
    pub granularity: QuantGranularity,
    /// The mean squared error.
    pub mse: f64,
    /// Size of codes, scales and zero points in bytes.
    pub memory_bytes: usize,
}

/// Quantizes a tensor with each of `granularities` and returns their errors and sizes, in the same order.
///
/// # Errors
/// As for [`quantize_tensor`].
pub fn compare_granularities(
    values: &[f32],
    shape: &[usize],
    bits: u8,
    mode: QuantMode,
    granularities: &[QuantGranularity],
) -> Result<Vec<GranularityError>> {
    let mut decoded = allocation::zeros(values.len())?;
    let compare = |&granularity: &QuantGranularity| {
        let tensor = quantize_tensor(values, shape, granularity, mode, bits)?;
        dequantize_tensor_into(&tensor, &mut decoded)?;
        let mse = quantization_mse(values, &decoded)?;
        Ok(GranularityError { granularity, mse, memory_bytes: tensor.memory_bytes() })
    };
    granularities.iter().map(compare).collect()
}
