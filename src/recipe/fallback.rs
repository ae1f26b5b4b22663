//! Fallback types for rows that are not a multiple of the block size.

use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};

/// Types, and the type with smaller blocks that replaces each.
const FALLBACKS: &[(TensorType, TensorType)] = &[
    (TensorType::IQ1_S, TensorType::IQ4_NL),
    (TensorType::IQ1_M, TensorType::IQ4_NL),
    (TensorType::IQ2_XXS, TensorType::IQ4_NL),
    (TensorType::IQ2_XS, TensorType::IQ4_NL),
    (TensorType::IQ2_S, TensorType::IQ4_NL),
    (TensorType::IQ3_XXS, TensorType::IQ4_NL),
    (TensorType::IQ3_S, TensorType::IQ4_NL),
    (TensorType::IQ4_XS, TensorType::IQ4_NL),
    (TensorType::Q2_0, TensorType::Q4_0),
    (TensorType::Q2_K, TensorType::Q4_0),
    (TensorType::Q3_K, TensorType::Q4_0),
    (TensorType::TQ1_0, TensorType::Q4_0),
    (TensorType::TQ2_0, TensorType::Q4_0),
    (TensorType::Q4_K, TensorType::Q5_0),
    (TensorType::Q5_K, TensorType::Q5_1),
    (TensorType::Q6_K, TensorType::Q8_0),
];

/// The type for rows of this length: `wanted` if it fits, otherwise its fallback.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for a type without fallback, which llama-quantize rejects too.
pub(super) fn fitting(wanted: TensorType, row_length: u64) -> Result<TensorType> {
    let fits = |dtype: TensorType| row_length.is_multiple_of(dtype.weights);
    if fits(wanted) {
        return Ok(wanted);
    }
    let second = match FALLBACKS.iter().find(|(from, _)| *from == wanted) {
        Some((_, to)) => *to,
        None if wanted.weights <= 32 => wanted,
        None => {
            let (name, weights) = (wanted.name, wanted.weights);
            let message = format!(
                "{name} needs rows with a multiple of {weights} weights, but these have {row_length}, and there is no fallback type"
            );
            return Err(Error::new(Code::UNSUPPORTED, message).with("type", name).with("rowLength", row_length));
        }
    };
    Ok(if fits(second) { second } else { TensorType::F16 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_fit_keep_the_type_and_others_step_down() {
        let cases = [
            (TensorType::Q4_K, 512, TensorType::Q4_K),
            (TensorType::Q4_K, 576, TensorType::Q5_0),
            (TensorType::Q5_K, 576, TensorType::Q5_1),
            (TensorType::Q6_K, 576, TensorType::Q8_0),
            (TensorType::Q2_0, 96, TensorType::Q4_0),
            (TensorType::IQ2_XS, 96, TensorType::IQ4_NL),
            (TensorType::Q6_K, 100, TensorType::F16),
            (TensorType::Q4_0, 100, TensorType::F16),
        ];
        for (wanted, row, got) in cases {
            assert_eq!(fitting(wanted, row).unwrap(), got, "{} {row}", wanted.name);
        }
        for wanted in [TensorType::NVFP4, TensorType::Q1_0] {
            assert_eq!(fitting(wanted, 96).unwrap_err().code(), Code::UNSUPPORTED);
        }
    }
}
