//! Q4_0 and Q8_0 tensors in memory: a whole number of blocks together with the number of weights.
//!
//! The bytes are ggml's. This is a thin layer over [`format`](mod@format), which has all other formats, rows and
//! importance weights.

use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::format::{self, BlockEncoder, BlockFormat, Codec};
use crate::validation;
use std::fmt;
use std::marker::PhantomData;

/// Weights per block, the same for both formats.
pub const GGUF_BLOCK_SIZE: usize = 32;

/// The two block formats of this module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GGUFQuantType {
    /// 4-bit codes, 18 bytes per block.
    Q4_0,
    /// 8-bit codes, 34 bytes per block.
    Q8_0,
}

impl GGUFQuantType {
    /// Both formats.
    pub const ALL: [GGUFQuantType; 2] = [GGUFQuantType::Q4_0, GGUFQuantType::Q8_0];

    /// The name of the format, as used throughout the crate.
    pub const fn name(self) -> &'static str {
        match self {
            GGUFQuantType::Q4_0 => format::Q4_0::NAME,
            GGUFQuantType::Q8_0 => format::Q8_0::NAME,
        }
    }

    /// Bytes per block, including the scale.
    pub const fn bytes_per_block(self) -> usize {
        match self {
            GGUFQuantType::Q4_0 => size_of::<format::Q4_0>(),
            GGUFQuantType::Q8_0 => size_of::<format::Q8_0>(),
        }
    }

    /// Bits per code, not counting the scale.
    pub const fn bits(self) -> usize {
        (self.bytes_per_block() - 2) * 8 / GGUF_BLOCK_SIZE
    }

    /// Compression ratio relative to f32, including the scale: 7.1 for Q4_0, 3.8 for Q8_0.
    pub const fn theoretical_compression(self) -> f64 {
        (GGUF_BLOCK_SIZE * 4) as f64 / self.bytes_per_block() as f64
    }
}

/// A tensor stored as blocks of one format.
///
/// ```
/// use quantpress::block_tensor::Q4_0;
/// let tensor = Q4_0::quantize(&[0.5; 40])?;
/// assert_eq!((tensor.num_blocks(), tensor.gguf_bytes()), (2, 36));
/// assert_eq!(tensor.dequantize()?.len(), 40);
/// # Ok::<(), quantpress::Error>(())
/// ```
#[derive(Clone)]
pub struct BlockTensor<B> {
    bytes: Vec<u8>,
    len: usize,
    format: PhantomData<B>,
}

// Written by hand because deriving would require `B: PartialEq` and `B: Debug`, which the block types do not implement.
impl<B> PartialEq for BlockTensor<B> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.len == other.len
    }
}

impl<B: BlockFormat> fmt::Debug for BlockTensor<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} weights in {} bytes", B::NAME, self.len, self.bytes.len())
    }
}

/// A [Q4_0](format::Q4_0) tensor.
pub type Q4_0 = BlockTensor<format::Q4_0>;

/// A [Q8_0](format::Q8_0) tensor.
pub type Q8_0 = BlockTensor<format::Q8_0>;

impl<B: BlockEncoder> BlockTensor<B> {
    /// Quantizes `values`, padding the last block with zeros. (Rows in a GGUF file must be whole blocks.)
    ///
    /// # Errors
    /// As for [`Codec::encode_rows`].
    pub fn quantize(values: &[f32]) -> Result<Self> {
        let mut bytes = allocation::zeros(values.len().div_ceil(B::WEIGHTS) * size_of::<B>())?;
        Self::quantize_into(values, &mut bytes)?;
        Ok(BlockTensor { bytes, len: values.len(), format: PhantomData })
    }

    /// [`quantize`](Self::quantize) into a caller's buffer of whole blocks.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for a buffer of another length, and as for [`Codec::encode_rows`].
    pub fn quantize_into(values: &[f32], bytes: &mut [u8]) -> Result<()> {
        let codec = Codec::by_name(B::NAME)?;
        validation::length("the output of blocks", bytes.len(), values.len().div_ceil(B::WEIGHTS) * codec.bytes)?;
        let (whole, tail) = values.split_at(values.len() / B::WEIGHTS * B::WEIGHTS);
        let (full, last) = bytes.split_at_mut(whole.len() / B::WEIGHTS * codec.bytes);
        codec.encode_rows(whole, whole.len(), None, full)?;
        if tail.is_empty() {
            return Ok(());
        }
        if let Some(index) = validation::first_non_finite(tail) {
            return Err(validation::non_finite(tail[index], whole.len() + index, "weight"));
        }
        let mut padded = tail.to_vec();
        padded.resize(B::WEIGHTS, 0.0);
        codec.encode_rows(&padded, B::WEIGHTS, None, last)
    }

    /// Dequantizes the tensor to its [`len`](Self::len) weights.
    ///
    /// # Errors
    /// As for [`dequantize_into`](Self::dequantize_into).
    pub fn dequantize(&self) -> Result<Vec<f32>> {
        let mut out = allocation::zeros(self.len)?;
        self.dequantize_into(&mut out)?;
        Ok(out)
    }

    /// [`dequantize`](Self::dequantize) into a caller's buffer.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `out` does not have [`len`](Self::len) values.
    pub fn dequantize_into(&self, out: &mut [f32]) -> Result<()> {
        let codec = Codec::by_name(B::NAME)?;
        validation::length("the output of weights", out.len(), self.len)?;
        let blocks = self.len / B::WEIGHTS;
        let (full, last) = self.bytes.split_at(blocks * codec.bytes);
        let (whole, tail) = out.split_at_mut(blocks * B::WEIGHTS);
        codec.decode(full, whole)?;
        if !tail.is_empty() {
            let mut padded = vec![0.0; B::WEIGHTS];
            codec.decode(last, &mut padded)?;
            tail.copy_from_slice(&padded[..tail.len()]);
        }
        Ok(())
    }

    /// Size of the blocks in memory, in bytes; the same as in a file.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Size of the blocks in a GGUF file, in bytes.
    pub fn gguf_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Compression ratio relative to f32.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] for an empty tensor.
    pub fn compression_ratio(&self) -> Result<f64> {
        if self.len == 0 {
            return Err(Error::new(Code::NO_DATA, "an empty tensor has no compression ratio"));
        }
        Ok(self.len as f64 * 4.0 / self.bytes.len() as f64)
    }

    /// The number of blocks.
    pub fn num_blocks(&self) -> usize {
        self.bytes.len() / size_of::<B>()
    }

    /// The number of weights, not counting padding.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the tensor has no weights.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The blocks in ggml's layout.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Creates a tensor of `len` weights from blocks in ggml's layout.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `bytes` is not exactly the blocks of `len` weights, [`Code::INVALID_BLOCK`] for a NaN or
    /// infinite scale.
    pub fn from_bytes(bytes: &[u8], len: usize) -> Result<Self> {
        let need = len.div_ceil(B::WEIGHTS).saturating_mul(size_of::<B>());
        validation::length("the list of blocks", bytes.len(), need)?;
        Codec::by_name(B::NAME)?.validate(bytes)?;
        Ok(BlockTensor { bytes: bytes.to_vec(), len, format: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.7).sin() * (1.0 + (i % 17) as f32 / 5.0)).collect()
    }

    #[test]
    fn whole_blocks_equal_the_format_and_a_tail_is_padded_with_zeros() {
        let weights = weights(100);
        let tensor = Q4_0::quantize(&weights).unwrap();
        let mut padded = weights.clone();
        padded.resize(128, 0.0);
        assert_eq!(tensor.to_bytes(), format::quantize(&padded, "Q4_0", 128, None).unwrap());
        assert_eq!(tensor.dequantize().unwrap(), format::dequantize(&tensor.to_bytes(), "Q4_0").unwrap()[..100]);
        assert_eq!((tensor.num_blocks(), tensor.memory_bytes(), tensor.len()), (4, 72, 100));
        assert_eq!(tensor.compression_ratio().unwrap(), 400.0 / 72.0);
        assert_eq!(Q4_0::from_bytes(&tensor.to_bytes(), 100).unwrap(), tensor);
    }

    /// Regression: nibble order, codes and scale of Q4_0 differed from ggml's.
    #[test]
    fn q4_0_is_offset_binary_with_element_sixteen_in_the_high_nibble() {
        let weights: Vec<f32> = (0..32).map(|i| (i % 16 - 8) as f32).collect();
        let bytes = Q4_0::quantize(&weights).unwrap().to_bytes();
        assert_eq!(bytes[..2], [0x00, 0x3c]); // d = -8 / -8 = 1
        assert_eq!(bytes[2..], std::array::from_fn::<u8, 16, _>(|i| i as u8 * 17));
        // The weight of largest magnitude determines the sign of the scale and has code 0.
        let bytes = Q4_0::quantize(&[1.0; 32]).unwrap().to_bytes();
        assert_eq!((bytes[..2].to_vec(), bytes[2]), (vec![0x00, 0xb0], 0));
    }

    /// Regression: Q8_0 divided by the scale, but ggml multiplies by its reciprocal.
    #[test]
    fn q8_0_multiplies_by_the_reciprocal() {
        // Finds a weight for which the quotient and the product round to different codes.
        let differs = |largest: f32, x: f32| {
            let d = largest / 127.0;
            (x / d).round() != (x * (1.0 / d)).round()
        };
        let (largest, x) = (1..2000u32)
            .map(|i| 1.0 + i as f32 * 0.000_37)
            .flat_map(|largest| (0..127).map(move |k| (largest, largest / 127.0 * (k as f32 + 0.5))))
            .find(|&(largest, x)| differs(largest, x))
            .expect("there is a weight for which the two differ");
        let mut weights = [0.0; 32];
        (weights[0], weights[1]) = (largest, x);
        let bytes = Q8_0::quantize(&weights).unwrap().to_bytes();
        let inverse = 1.0 / (largest / 127.0);
        assert_eq!(bytes[3], (x * inverse).round() as u8);
        assert_ne!(bytes[3], (x / (largest / 127.0)).round() as u8);
    }

    #[test]
    fn rejects_mismatched_lengths_and_broken_blocks() {
        let bytes = Q8_0::quantize(&weights(40)).unwrap().to_bytes();
        for (bytes, len) in [(&bytes[..67], 40), (&bytes[..], 65), (&bytes[..], 32), (&[], 1), (&bytes[..], usize::MAX)]
        {
            assert_eq!(Q8_0::from_bytes(bytes, len).unwrap_err().code(), Code::LENGTH);
        }
        let mut broken = bytes.clone();
        broken[35] = 0x7c;
        assert_eq!(Q8_0::from_bytes(&broken, 40).unwrap_err().code(), Code::INVALID_BLOCK);
        assert_eq!(Q8_0::quantize(&[]).unwrap().compression_ratio().unwrap_err().code(), Code::NO_DATA);
        let mut weights = weights(40);
        weights[35] = f32::NAN;
        let error = Q4_0::quantize(&weights).unwrap_err();
        assert_eq!(error.details()[0], ("index", crate::Detail::Number(35.0)));
    }

    #[test]
    fn both_types_report_their_sizes() {
        let known = GGUFQuantType::ALL.map(|t| (t.name(), t.bytes_per_block(), t.bits()));
        assert_eq!(known, [("Q4_0", 18, 4), ("Q8_0", 34, 8)]);
        assert_eq!(GGUFQuantType::Q4_0.theoretical_compression(), 128.0 / 18.0);
        assert!(GGUFQuantType::ALL.iter().all(|t| Codec::by_name(t.name()).unwrap().weights == GGUF_BLOCK_SIZE));
    }
}
