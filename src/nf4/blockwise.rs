//! Block-wise 4-bit tensors: codes and one absmax per block, with the memory layout of bitsandbytes.

use super::codebook::DataType4Bit;
use super::kernel;
use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
use crate::setters::setter;
use crate::tiling::{Input, Output, TILE, tiles};
use crate::validation;

/// The default number of weights per block.
pub const BLOCK_SIZE: usize = 64;

/// The block sizes that bitsandbytes supports.
pub const BLOCK_SIZES: [usize; 8] = [32, 64, 128, 256, 512, 1024, 2048, 4096];

/// Options for 4-bit quantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quantize4BitOptions {
    /// The data type of the codes; NF4 by default.
    pub data_type: DataType4Bit,
    /// Weights per block, one of [`BLOCK_SIZES`]; 64 by default.
    pub block_size: usize,
}

impl Default for Quantize4BitOptions {
    fn default() -> Self {
        Self::new(DataType4Bit::Nf4, BLOCK_SIZE)
    }
}

impl Quantize4BitOptions {
    /// A data type, and the number of weights per block (one of [`BLOCK_SIZES`], checked where it is used).
    pub const fn new(data_type: DataType4Bit, block_size: usize) -> Self {
        Quantize4BitOptions { data_type, block_size }
    }

    setter!(with_data_type, data_type: DataType4Bit);
    setter!(with_block_size, block_size: usize);

    /// The size in bytes of the codes of `len` weights.
    pub fn codes_len(&self, len: usize) -> usize {
        len.div_ceil(2)
    }

    /// The number of blocks of `len` weights.
    ///
    /// # Errors
    /// [`Code::RANGE`] for a block size that is not one of [`BLOCK_SIZES`].
    pub fn blocks(&self, len: usize) -> Result<usize> {
        if BLOCK_SIZES.contains(&self.block_size) {
            return Ok(len.div_ceil(self.block_size));
        }
        let message = format!("the block size is {}, and must be one of {BLOCK_SIZES:?}", self.block_size);
        Err(Error::new(Code::RANGE, message).with("blockSize", self.block_size))
    }
}

/// A tensor with 4 bits per weight and 32 bits per block: 4.5 bits per weight with blocks of 64.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized4Bit {
    /// Two codes per byte, the first in the high nibble. An odd number of weights is padded with the code of 0.
    pub codes: Vec<u8>,
    /// The largest magnitude (absmax) of every block.
    pub absmax: Vec<f32>,
    /// The number of weights.
    pub len: usize,
    /// Weights per block; the last block may have fewer.
    pub block_size: usize,
    /// The data type of the codes.
    pub data_type: DataType4Bit,
}

const TAG: [u8; 4] = *b"QP4b";

impl Quantized4Bit {
    /// Size in bytes: codes and absmax. The code table is a constant of the data type and not counted.
    pub fn memory_bytes(&self) -> usize {
        self.codes.len() + 4 * self.absmax.len()
    }

    /// Compression ratio relative to f32.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] for an empty tensor.
    pub fn compression_ratio(&self) -> Result<f64> {
        compression_ratio(self.len, self.memory_bytes())
    }

    /// The options the tensor was quantized with.
    pub fn options(&self) -> Quantize4BitOptions {
        Quantize4BitOptions { data_type: self.data_type, block_size: self.block_size }
    }

    /// Checks that the parts match each other.
    ///
    /// # Errors
    /// [`Code::RANGE`] for the block size, [`Code::LENGTH`] if the number of codes or absmax values does not match the
    /// number of weights, [`Code::NON_FINITE`] for a NaN or infinite absmax.
    pub fn check(&self) -> Result<()> {
        validation::length("the list of absmax", self.absmax.len(), self.options().blocks(self.len)?)?;
        validation::length("the list of codes", self.codes.len(), self.options().codes_len(self.len))?;
        validation::finite(&self.absmax, "absmax")
    }

    /// Serializes the tensor; [`from_bytes`](Self::from_bytes) reads it. Use [`to_state_dict`](Self::to_state_dict) to
    /// exchange tensors with other programs.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(TAG, 1);
        writer.u8(self.data_type as u8).count(self.block_size).count(self.len);
        writer.f32s(&self.absmax).bytes(&self.codes).finish()
    }

    /// Reads a tensor serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::TRUNCATED`], [`Code::MAGIC`], [`Code::MALFORMED`], [`Code::UNSUPPORTED`], and as for
    /// [`check`](Self::check).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, TAG, 1, "Quantized4Bit")?;
        let data_type = reader.choice(&DataType4Bit::ALL, "data type")?;
        let (block_size, len) = (reader.count()?, reader.count()?);
        let (absmax, codes) = (reader.f32s()?, reader.bytes()?);
        reader.finish()?;
        let tensor = Quantized4Bit { codes, absmax, len, block_size, data_type };
        tensor.check()?;
        Ok(tensor)
    }
}

pub(super) fn compression_ratio(len: usize, bytes: usize) -> Result<f64> {
    if len == 0 {
        return Err(Error::new(Code::NO_DATA, "an empty tensor has no compression ratio"));
    }
    Ok(len as f64 * 4.0 / bytes as f64)
}

/// Quantizes to 4 bits, bit-identical to bitsandbytes' `quantize_4bit` on a CPU.
///
/// The code of `x` is the number of midpoints below `x (1 / absmax)`, with the absmax of its block. See
/// [`DataType4Bit`] for the values of the codes.
///
/// ```
/// use quantpress::nf4::{Quantize4BitOptions, dequantize_4bit, quantize_4bit};
/// let weights: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.1).sin()).collect();
/// let tensor = quantize_4bit(&weights, &Quantize4BitOptions::default())?;
/// assert_eq!(tensor.memory_bytes(), 500 + 16 * 4);
/// assert_eq!(dequantize_4bit(&tensor)?.len(), 1000);
/// # Ok::<(), quantpress::Error>(())
/// ```
///
/// # Errors
/// As for [`quantize_4bit_into`].
pub fn quantize_4bit(values: &[f32], options: &Quantize4BitOptions) -> Result<Quantized4Bit> {
    let Quantize4BitOptions { data_type, block_size } = *options;
    let mut codes = allocation::zeros(options.codes_len(values.len()))?;
    let mut absmax = allocation::zeros(options.blocks(values.len())?)?;
    quantize_4bit_into(values, options, &mut codes, &mut absmax)?;
    Ok(Quantized4Bit { codes, absmax, len: values.len(), block_size, data_type })
}

/// [`quantize_4bit`] into caller's buffers of [`codes_len`](Quantize4BitOptions::codes_len) bytes and one absmax per
/// block.
///
/// # Errors
/// [`Code::RANGE`] for the block size, [`Code::LENGTH`] for buffers of the wrong length, [`Code::NON_FINITE`] with the
/// index of the first NaN or infinite weight. After an error the contents of the buffers are unspecified.
pub fn quantize_4bit_into(
    values: &[f32],
    options: &Quantize4BitOptions,
    codes: &mut [u8],
    absmax: &mut [f32],
) -> Result<()> {
    quantize_tiles(values, options, codes, absmax)
}

/// [`quantize_4bit_into`] for any arrays.
pub(crate) fn quantize_tiles(
    mut values: impl Input<Item = f32>,
    options: &Quantize4BitOptions,
    mut codes: impl Output<Item = u8>,
    mut absmax: impl Output<Item = f32>,
) -> Result<()> {
    let (len, block_size) = (values.len(), options.block_size);
    validation::length("the output of absmax", absmax.len(), options.blocks(len)?)?;
    validation::length("the output of codes", codes.len(), options.codes_len(len))?;
    for range in tiles(len, codes.tile().max(absmax.tile())) {
        let values = values.read(range.clone());
        let blocks = range.start / block_size..range.end.div_ceil(block_size);
        absmax.write(blocks, |absmax| {
            codes.write(range.start / 2..range.end.div_ceil(2), |codes| {
                quantize_blocks(values, range.start, options, codes, absmax)
            })
        })?;
    }
    Ok(())
}

/// Computes the absmax values that [`quantize_4bit`] stores, without the codes.
///
/// # Errors
/// As for [`quantize_4bit_into`].
pub fn block_absmax(values: &[f32], options: &Quantize4BitOptions) -> Result<Vec<f32>> {
    let Quantize4BitOptions { data_type, block_size } = *options;
    let mut absmax = allocation::zeros(options.blocks(values.len())?)?;
    for (index, (block, absmax)) in values.chunks(block_size).zip(&mut absmax).enumerate() {
        let largest = largest_of(block, index * block_size)?;
        *absmax = kernel::stored(largest, block.len() == block_size, data_type);
    }
    Ok(absmax)
}

/// The largest magnitude of a block that starts at weight `start` of its tensor.
fn largest_of(block: &[f32], start: usize) -> Result<f32> {
    kernel::absmax(block).ok_or_else(|| {
        // Earlier blocks are finite, so this block contains the first non-finite weight.
        let at = validation::first_non_finite(block).unwrap_or(0);
        validation::non_finite(block[at], start + at, "weight")
    })
}

/// [`quantize_4bit_into`] for the blocks from weight `start` of a tensor, with checked lengths.
fn quantize_blocks(
    values: &[f32],
    start: usize,
    options: &Quantize4BitOptions,
    codes: &mut [u8],
    absmax: &mut [f32],
) -> Result<()> {
    let Quantize4BitOptions { data_type, block_size } = *options;
    let blocks = values.chunks(block_size).zip(codes.chunks_mut(block_size / 2)).zip(absmax);
    for (index, ((values_of_block, codes), absmax)) in blocks.enumerate() {
        let largest = largest_of(values_of_block, start + index * block_size)?;
        let whole = values_of_block.len() == block_size;
        *absmax = kernel::encode(values_of_block, largest, whole, data_type, codes);
    }
    Ok(())
}

/// Dequantizes a 4-bit tensor, bit-identical to bitsandbytes' `dequantize_4bit`.
///
/// # Errors
/// As for [`dequantize_4bit_into`].
pub fn dequantize_4bit(tensor: &Quantized4Bit) -> Result<Vec<f32>> {
    // The structure is checked before its length determines the size of an allocation.
    tensor.check()?;
    let mut out = allocation::zeros(tensor.len)?;
    dequantize_4bit_into(tensor, &mut out)?;
    Ok(out)
}

/// [`dequantize_4bit`] into a caller's buffer of one value per weight.
///
/// # Errors
/// [`Code::LENGTH`] if `out` has a different length, and as for [`Quantized4Bit::check`].
pub fn dequantize_4bit_into(tensor: &Quantized4Bit, out: &mut [f32]) -> Result<()> {
    dequantize_tiles(tensor, out)
}

/// [`dequantize_4bit_into`] for any array.
pub(crate) fn dequantize_tiles(tensor: &Quantized4Bit, out: impl Output<Item = f32>) -> Result<()> {
    tensor.check()?;
    decode_tiles(&tensor.codes, &tensor.absmax, &tensor.options(), tensor.len, out)
}

/// Decodes blocks whose codes and absmax match `len` weights.
pub(super) fn decode_tiles(
    codes: &[u8],
    absmax: &[f32],
    options: &Quantize4BitOptions,
    len: usize,
    mut out: impl Output<Item = f32>,
) -> Result<()> {
    let Quantize4BitOptions { data_type, block_size } = *options;
    validation::length("the output of weights", out.len(), len)?;
    let parts = codes.chunks(TILE / 2).zip(absmax.chunks(TILE / block_size));
    for (range, (codes, absmax)) in tiles(len, TILE).zip(parts) {
        out.write(range, |out| {
            let blocks = out.chunks_mut(block_size).zip(codes.chunks(block_size / 2)).zip(absmax);
            for ((out, codes), &absmax) in blocks {
                kernel::decode(codes, absmax, data_type, out);
            }
            Ok(())
        })?;
    }
    Ok(())
}
