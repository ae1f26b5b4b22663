//! JavaScript bindings of `block_tensor.rs`.

use super::arrays::fill;
use crate::block_tensor::{BlockTensor, GGUFQuantType};
use crate::error::{Code, Error};
use crate::format::{self, BlockEncoder};
use js_sys::Float32Array;
use wasm_bindgen::prelude::*;

/// Selects one of the two formats by name.
fn by_name<T>(
    name: &str,
    q4_0: impl FnOnce() -> Result<T, Error>,
    q8_0: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match GGUFQuantType::ALL.into_iter().find(|known| known.name() == name) {
        Some(GGUFQuantType::Q4_0) => q4_0(),
        Some(GGUFQuantType::Q8_0) => q8_0(),
        None => Err(Error::new(Code::UNKNOWN_NAME, format!("unknown type '{name}'; the known types are Q4_0, Q8_0"))),
    }
}

fn encode<B: BlockEncoder>(values: &[f32]) -> Result<Vec<u8>, Error> {
    BlockTensor::<B>::quantize(values).map(|tensor| tensor.to_bytes())
}

fn decode<B: BlockEncoder>(bytes: &[u8], length: usize) -> Result<Vec<f32>, Error> {
    BlockTensor::<B>::from_bytes(bytes, length)?.dequantize()
}

/// See [`BlockTensor::quantize`].
#[wasm_bindgen(js_name = blocksQuantize)]
pub fn blocks_quantize(values: &[f32], name: &str) -> Result<Vec<u8>, Error> {
    by_name(name, || encode::<format::Q4_0>(values), || encode::<format::Q8_0>(values))
}

/// See [`BlockTensor::from_bytes`] and [`BlockTensor::dequantize`].
#[wasm_bindgen(js_name = blocksDequantize)]
pub fn blocks_dequantize(bytes: &[u8], length: usize, name: &str) -> Result<Vec<f32>, Error> {
    by_name(name, || decode::<format::Q4_0>(bytes, length), || decode::<format::Q8_0>(bytes, length))
}

/// See [`BlockTensor::dequantize_into`].
#[wasm_bindgen(js_name = blocksDequantizeInto)]
pub fn blocks_dequantize_into(bytes: &[u8], length: usize, name: &str, out: &Float32Array) -> Result<(), Error> {
    let weights = blocks_dequantize(bytes, length, name)?;
    fill("the output of weights", out, weights.len(), |out| {
        out.copy_from_slice(&weights);
        Ok(())
    })
}
