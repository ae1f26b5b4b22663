//! Affine quantization at 2 to 8 bits: `q = clamp(round_half_even(x / s) + z)`, `x = s (q - z)`.
//!
//! | | |
//! |---|---|
//! | [`scheme`] | bits, mode and code range: from a range of values to a scale and a zero point |
//! | [`granularity`] | which values share them: the whole tensor, a channel on any axis, a group within a row |
//! | [`params`] | scales and zero points, checked against a shape |
//! | [`packing`] | packed codes of 2 to 8 bits |
//! | quantize, calibrate, metrics | the functions |
//!
//! Rounding follows PyTorch: `x` is multiplied by the rounded reciprocal of `s` and rounded half to even *before* the
//! zero point is added.

pub(crate) mod calibrate;
pub mod granularity;
pub(crate) mod kernel;
mod metrics;
pub mod packing;
pub mod params;
pub(crate) mod quantize;
pub mod scheme;

pub(crate) use calibrate::ranges_of;
pub use calibrate::{
    GroupRanges, calibrate, calibrate_into, calibrate_per_channel, calibrate_per_group, calibrate_per_tensor,
    for_each_range, min_max,
};
pub use granularity::{Layout, QuantGranularity, Run};
pub use metrics::{GranularityError, compare_granularities, quantization_mse};
pub use packing::{check_width, pack_codes, pack_codes_into, packed_len, unpack_codes, unpack_codes_into};
pub use params::QuantParams;
pub(crate) use quantize::Prepared;
pub use quantize::{
    QuantizedTensor, dequantize_tensor, dequantize_tensor_into, dequantize_with_params, dequantize_with_params_into,
    quantize_packed_into, quantize_tensor, quantize_tensor_with, quantize_with_params, quantize_with_params_into,
};
pub use scheme::{QuantMode, QuantRange, QuantScheme, SymmetricRule};
