//! Quantization-aware training: fake quantization with straight-through gradients, learned steps (LSQ), learned clipping
//! (PACT).
//!
//! Nothing here knows of a training framework: every operation is a forward and a backward over slices, for any
//! automatic differentiation to call.

mod config;
mod fake;
mod learned;
mod observer;

pub use config::FakeQuantConfig;
pub use fake::{FakeQuantize, fake_quantize_with_params_into};
#[cfg(target_arch = "wasm32")]
pub(crate) use fake::{backward_part, forward_part};
pub use learned::{LearnedFakeQuantize, LearnedGradients, Pact};
#[cfg(target_arch = "wasm32")]
pub(crate) use learned::{pact_bytes, pact_parts};
pub use observer::RangeRule;

use crate::check;
use crate::error::Result;

/// Fake quantization with the range of the input itself: narrow symmetric codes, or asymmetric unsigned ones.
///
/// # Errors
/// As [`fake_quantize_into`].
pub fn fake_quantize(values: &[f32], bits: u8, symmetric: bool) -> Result<Vec<f32>> {
    let mut out = check::zeros(values.len())?;
    fake_quantize_into(values, bits, symmetric, &mut out)?;
    Ok(out)
}

/// [`fake_quantize`] into a buffer of as many values.
///
/// # Errors
/// [`Code::RANGE`](crate::Code::RANGE) unless `bits` is 2..=8, [`Code::NO_DATA`](crate::Code::NO_DATA) for no values,
/// [`Code::NON_FINITE`](crate::Code::NON_FINITE) with the index of the first that is no number,
/// [`Code::LENGTH`](crate::Code::LENGTH) for an output of another length.
pub fn fake_quantize_into(values: &[f32], bits: u8, symmetric: bool, out: &mut [f32]) -> Result<()> {
    let config = if symmetric { FakeQuantConfig::symmetric(bits)? } else { FakeQuantConfig::asymmetric(bits)? };
    FakeQuantize::new(config)?.forward_with_calibration_into(values, &[values.len()], out)
}

/// The straight-through estimator: rounding has no useful derivative, so the gradient passes as if it were the identity.
pub fn ste_backward(grad_output: &[f32]) -> Vec<f32> {
    grad_output.to_vec()
}

/// [`ste_backward`] into a buffer of as many values.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH).
pub fn ste_backward_into(grad_output: &[f32], out: &mut [f32]) -> Result<()> {
    check::length("the output", out.len(), grad_output.len())?;
    out.copy_from_slice(grad_output);
    Ok(())
}
