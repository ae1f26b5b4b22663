//! Quantization-aware training: fake quantization with straight-through gradients, learned step sizes (LSQ), learned
//! clipping (PACT).
//!
//! Independent of any training framework: every operation is a forward and a backward function over slices, to be
//! called from any automatic differentiation.

mod config;
mod fake;
pub(crate) mod learned;
mod observer;
mod straight_through;

pub use config::FakeQuantConfig;
pub use fake::{FakeQuantize, fake_quantize_with_params_into};
pub use learned::{LearnedFakeQuantize, LearnedGradients, Pact};
pub use observer::RangeRule;
pub use straight_through::{ste_backward, ste_backward_into};

use crate::affine::QuantMode;
use crate::allocation;
use crate::error::Result;
use crate::tiling::{Input, Output};
use crate::validation;

/// Fake quantization with the range of the input: narrow symmetric codes, or asymmetric unsigned codes.
///
/// # Errors
/// As for [`fake_quantize_into`].
pub fn fake_quantize(values: &[f32], bits: u8, mode: QuantMode) -> Result<Vec<f32>> {
    let mut out = allocation::zeros(values.len())?;
    fake_quantize_into(values, bits, mode, &mut out)?;
    Ok(out)
}

/// [`fake_quantize`] into a caller's buffer of the same length.
///
/// # Errors
/// [`Code::RANGE`](crate::Code::RANGE) unless `bits` is 2..=8, [`Code::NO_DATA`](crate::Code::NO_DATA) if there are no
/// values, [`Code::NON_FINITE`](crate::Code::NON_FINITE) with the index of the first NaN or infinite value,
/// [`Code::LENGTH`](crate::Code::LENGTH) if `out` has a different length.
pub fn fake_quantize_into(values: &[f32], bits: u8, mode: QuantMode, out: &mut [f32]) -> Result<()> {
    fake_quantize_tiles(values, bits, mode, out)
}

/// [`fake_quantize_into`] for any arrays.
pub(crate) fn fake_quantize_tiles(
    mut values: impl Input<Item = f32>,
    bits: u8,
    mode: QuantMode,
    out: impl Output<Item = f32>,
) -> Result<()> {
    validation::length("the output", out.len(), values.len())?;
    let (mut fake, shape) = (FakeQuantize::new(FakeQuantConfig::of_mode(bits, mode)?)?, [values.len()]);
    fake.observe_tiles(&mut values, &shape)?;
    fake.forward_tiles(values, &shape, out)
}
