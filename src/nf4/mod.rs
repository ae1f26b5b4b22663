//! QLoRA's block-wise 4-bit formats: NF4, FP4 and linear INT4, with double quantization.
//!
//! A tensor is divided into blocks (64 weights by default) regardless of its shape. Each block is divided by its
//! absmax, and each weight is mapped to the nearest of sixteen values. NF4 and FP4 match bitsandbytes 0.50 on a CPU bit
//! for bit, and [`state_dict`] writes and reads the tensors in which bitsandbytes stores them.
//!
//! Sources: QLoRA (Dettmers et al. 2023, arXiv 2305.14314); 8-bit block-wise quantization (arXiv 2110.02861) for the
//! dynamic map; bitsandbytes' CPU backend (MIT) for every rounding.

pub(crate) mod blockwise;
mod codebook;
pub(crate) mod double_quant;
mod dynamic_map;
mod file_layout;
mod json;
mod kernel;
pub mod state_dict;

pub use blockwise::{
    BLOCK_SIZE, BLOCK_SIZES, Quantize4BitOptions, Quantized4Bit, block_absmax, dequantize_4bit, dequantize_4bit_into,
    quantize_4bit, quantize_4bit_into,
};
pub use codebook::DataType4Bit;
pub use double_quant::{
    DOUBLE_QUANT_BLOCK_SIZE, DoubleQuantized4Bit, decode_absmax, dequantize_4bit_double, dequantize_4bit_double_into,
    double_absmax, quantize_4bit_double, quantize_4bit_double_into,
};
pub use dynamic_map::DYNAMIC_MAP;
pub use file_layout::{Tail, TailLayout, TailPart};
pub use state_dict::{LoadedState, StateDtype, StateTensor, Tensor4Bit, from_state_dict, state_json};
