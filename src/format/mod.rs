//! GGUF block formats, each in its own file, and the table of all formats.
//!
//! A row of weights is divided into blocks; each block holds codes of a few bits per weight and the scales that map
//! them back to weights. The page of each format has its formula and its layout, field by field. The error column is
//! the RMS error for gaussian weights, in percent of their RMS, without importance, or with equal importance if the
//! format requires it.
//!
//! | format | id | weights | bytes | bits per weight | error % | good for |
//! |---|---|---|---|---|---|---|
//! | [F32](float) | 0 | 1 | 4 | 32 | 0 | floats |
//! | [F16](float) | 1 | 1 | 2 | 16 | 0.02 | floats; beyond 65504 infinite |
//! | [Q4_0](q4_0) | 2 | 32 | 18 | 4.5 | 8.6 | simple and fast |
//! | [Q4_1](q4_1) | 3 | 32 | 20 | 5 | 7.8 | weights on one side of zero |
//! | [Q5_0](q5_0) | 6 | 32 | 22 | 5.5 | 4.3 | simple |
//! | [Q5_1](q5_1) | 7 | 32 | 24 | 6 | 3.8 | weights on one side of zero |
//! | [Q8_0](q8_0) | 8 | 32 | 34 | 8.5 | 0.54 | nearly lossless |
//! | [Q8_1](q8_1) | 9 | 32 | 36 | 9 | - | activations; read-only |
//! | [Q2_K](q2_k) | 10 | 256 | 84 | 2.625 | 30 | small files |
//! | [Q3_K](q3_k) | 11 | 256 | 110 | 3.4375 | 15 | small files |
//! | [Q4_K](q4_k) | 12 | 256 | 144 | 4.5 | 7.1 | the usual choice |
//! | [Q5_K](q5_k) | 13 | 256 | 176 | 5.5 | 3.6 | near lossless |
//! | [Q6_K](q6_k) | 14 | 256 | 210 | 6.5625 | 1.8 | near lossless; output tensors |
//! | [Q8_K](q8_k) | 15 | 256 | 292 | 9.125 | - | activations; read-only |
//! | [IQ2_XXS](iq2_xxs) | 16 | 256 | 66 | 2.0625 | 34 | with an importance matrix only |
//! | [IQ2_XS](iq2_xs) | 17 | 256 | 74 | 2.3125 | 30 | with an importance matrix only |
//! | [IQ3_XXS](iq3_xxs) | 18 | 256 | 98 | 3.0625 | 21 | with an importance matrix |
//! | [IQ1_S](iq1_s) | 19 | 256 | 50 | 1.5625 | 49 | with an importance matrix only; very large models |
//! | [IQ4_NL](iq4_nl) | 20 | 32 | 18 | 4.5 | 7.6 | rows that are not a multiple of 256 |
//! | [IQ3_S](iq3_s) | 21 | 256 | 110 | 3.4375 | 17 | with an importance matrix |
//! | [IQ2_S](iq2_s) | 22 | 256 | 82 | 2.5625 | 26 | with an importance matrix |
//! | [IQ4_XS](iq4_xs) | 23 | 256 | 136 | 4.25 | 7.7 | the error of Q4_K in less space, slower to decode |
//! | [I8](integers) | 24 | 1 | 1 | 8 | - | copied; read-only |
//! | [I16](integers) | 25 | 1 | 2 | 16 | - | copied; read-only |
//! | [I32](integers) | 26 | 1 | 4 | 32 | - | copied; read-only |
//! | [I64](integers) | 27 | 1 | 8 | 64 | - | copied; read-only |
//! | [F64](mod@f64) | 28 | 1 | 8 | 64 | - | read-only |
//! | [IQ1_M](iq1_m) | 29 | 256 | 56 | 1.75 | 58 | with an importance matrix |
//! | [BF16](float) | 30 | 1 | 2 | 16 | 0.17 | floats with the range of F32 |
//! | [TQ1_0](tq1_0) | 34 | 256 | 54 | 1.6875 | 81 | models trained with ternary weights |
//! | [TQ2_0](tq2_0) | 35 | 256 | 66 | 2.0625 | 81 | models trained with ternary weights |
//! | [MXFP4](mxfp4) | 39 | 32 | 17 | 4.25 | 12 | models trained in MXFP4 (gpt-oss) |
//! | [NVFP4](nvfp4) | 40 | 64 | 36 | 4.5 | 9.5 | models trained in NVFP4 |
//! | [Q1_0](q1_0) | 41 | 128 | 18 | 1.125 | 60 | models trained with binary weights |
//! | [Q2_0](q2_0) | 42 | 64 | 18 | 2.25 | 72 | models trained with ternary weights |

pub mod block;
mod codec;
mod conversion;
mod elementwise;
mod encoding_cost;
pub mod f64;
pub mod float;
mod fp4;
mod grid;
pub mod integers;
pub mod iq1_m;
pub mod iq1_s;
pub mod iq2_s;
pub mod iq2_xs;
pub mod iq2_xxs;
pub mod iq3_s;
pub mod iq3_xxs;
pub mod iq4_nl;
pub mod iq4_xs;
mod k_affine;
pub mod mxfp4;
pub mod nvfp4;
pub mod q1_0;
pub mod q2_0;
pub mod q2_k;
pub mod q3_k;
pub mod q4_0;
pub mod q4_1;
pub mod q4_k;
pub mod q5_0;
pub mod q5_1;
pub mod q5_k;
pub mod q6_k;
pub mod q8_0;
pub mod q8_1;
pub mod q8_k;
mod super_block;
mod table;
pub mod tq1_0;
pub mod tq2_0;

pub use block::{BlockEncoder, BlockFormat, add_squares, mean_square};
pub use codec::{Codec, bits_per_weight};
pub use encoding_cost::EncodingCost;
pub use f64::F64;
pub use float::{BF16, F16, F32};
pub use integers::{I8, I16, I32, I64};
pub use iq1_m::Iq1M;
pub use iq1_s::Iq1S;
pub use iq2_s::Iq2S;
pub use iq2_xs::Iq2Xs;
pub use iq2_xxs::Iq2Xxs;
pub use iq3_s::Iq3S;
pub use iq3_xxs::Iq3Xxs;
pub use iq4_nl::Iq4Nl;
pub use iq4_xs::Iq4Xs;
pub use mxfp4::MxFp4;
pub use nvfp4::NvFp4;
pub use q1_0::Q1_0;
pub use q2_0::Q2_0;
pub use q2_k::Q2K;
pub use q3_k::Q3K;
pub use q4_0::Q4_0;
pub use q4_1::Q4_1;
pub use q4_k::Q4K;
pub use q5_0::Q5_0;
pub use q5_1::Q5_1;
pub use q5_k::Q5K;
pub use q6_k::Q6K;
pub use q8_0::Q8_0;
pub use q8_1::Q8_1;
pub use q8_k::Q8K;
pub use table::{formats, formats_over};
pub use tq1_0::Tq1_0;
pub use tq2_0::Tq2_0;

use crate::allocation;
use crate::error::Result;

/// Quantizes rows of `row_length` weights to the bytes that ggml writes.
///
/// `importance` has one non-negative value per column. See [`Codec::encode_rows`].
///
/// # Errors
/// As for [`quantize_into`].
pub fn quantize(weights: &[f32], format: &str, row_length: usize, importance: Option<&[f32]>) -> Result<Vec<u8>> {
    let codec = Codec::by_name(format)?;
    let mut out = allocation::zeros(codec.encoded_len(weights.len(), row_length)?)?;
    codec.encode_rows(weights, row_length, importance, &mut out)?;
    Ok(out)
}

/// [`quantize`] into a caller's buffer of exactly the encoded length.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME), and as for [`Codec::encode_rows`].
pub fn quantize_into(
    weights: &[f32],
    format: &str,
    row_length: usize,
    importance: Option<&[f32]>,
    out: &mut [u8],
) -> Result<()> {
    Codec::by_name(format)?.encode_tiles(weights, row_length, importance, out)
}

/// Dequantizes the blocks in `bytes`.
///
/// # Errors
/// As for [`dequantize_into`].
pub fn dequantize(bytes: &[u8], format: &str) -> Result<Vec<f32>> {
    let codec = Codec::by_name(format)?;
    let mut out = allocation::zeros(codec.decoded_len(bytes.len())?)?;
    codec.decode(bytes, &mut out)?;
    Ok(out)
}

/// [`dequantize`] into a caller's buffer of exactly the decoded length.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME), and as for [`Codec::decode`].
pub fn dequantize_into(bytes: &[u8], format: &str, out: &mut [f32]) -> Result<()> {
    Codec::by_name(format)?.decode_tiles(bytes, out)
}

/// Checks that the scales of every block, or the weights of a float format, are finite, as `ggml_validate_row_data`
/// does.
///
/// # Errors
/// [`Code::UNKNOWN_NAME`](crate::Code::UNKNOWN_NAME), and as for [`Codec::validate`].
pub fn validate(bytes: &[u8], format: &str) -> Result<()> {
    Codec::by_name(format)?.validate(bytes)
}
