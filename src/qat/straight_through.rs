//! The straight-through estimator (arXiv 1308.3432).

use crate::error::Result;
use crate::validation;

/// The straight-through estimator: rounding has no useful derivative, so the gradient passes unchanged, as for the
/// identity.
pub fn ste_backward(grad_output: &[f32]) -> Vec<f32> {
    grad_output.to_vec()
}

/// [`ste_backward`] into a caller's buffer of the same length.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) if `out` has a different length.
pub fn ste_backward_into(grad_output: &[f32], out: &mut [f32]) -> Result<()> {
    validation::length("the output", out.len(), grad_output.len())?;
    out.copy_from_slice(grad_output);
    Ok(())
}
