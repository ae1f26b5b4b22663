//! Double quantization: the absmax values are quantized to 8 bits, as in QLoRA and bitsandbytes.

use super::blockwise::{
    Quantize4BitOptions, Quantized4Bit, compression_ratio, decode_tiles, quantize_4bit, quantize_4bit_into,
};
use super::codebook::DataType4Bit;
use super::dynamic_map;
use crate::allocation;
use crate::error::{Error, Result};
use crate::serialization::{Reader, Writer};
use crate::tiling::Output;
use crate::validation;

/// Absmax values per second-level block.
pub const DOUBLE_QUANT_BLOCK_SIZE: usize = 256;

/// A 4-bit tensor with 8-bit absmax codes: `absmax = map[code] nested_absmax + offset`.
///
/// It takes 4.127 bits per weight with blocks of 64, compared with 4.5 without double quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct DoubleQuantized4Bit {
    /// Two codes per byte, the first in the high nibble.
    pub codes: Vec<u8>,
    /// The absmax of every block minus the offset, as codes of the [dynamic map](super::DYNAMIC_MAP).
    pub absmax_codes: Vec<u8>,
    /// The largest magnitude of every 256 absmax values after subtracting the offset.
    pub nested_absmax: Vec<f32>,
    /// The mean of all absmax values.
    pub offset: f32,
    /// The number of weights.
    pub len: usize,
    /// Weights per block; the last block may have fewer.
    pub block_size: usize,
    /// The data type of the codes.
    pub data_type: DataType4Bit,
}

const TAG: [u8; 4] = *b"QP4d";

impl DoubleQuantized4Bit {
    /// Quantizes the absmax values of a 4-bit tensor. `offset` is subtracted from them first; by default it is their
    /// mean.
    ///
    /// bitsandbytes uses `torch.mean`, whose last bits depend on the machine and the number of threads. This function
    /// computes the mean in double precision and rounds it once, up to 4 units in the last place away; pass `offset` to
    /// reproduce the bytes of a particular run.
    ///
    /// # Errors
    /// As for [`Quantized4Bit::check`]; [`Code::NON_FINITE`](crate::Code::NON_FINITE) for a NaN or infinite offset.
    pub fn from_single(tensor: Quantized4Bit, offset: Option<f32>) -> Result<Self> {
        tensor.check()?;
        let offset = offset.unwrap_or_else(|| mean(&tensor.absmax));
        let mut absmax_codes = allocation::zeros(tensor.absmax.len())?;
        let mut nested_absmax = allocation::zeros(tensor.absmax.len().div_ceil(DOUBLE_QUANT_BLOCK_SIZE))?;
        quantize_absmax(tensor.absmax, offset, &mut absmax_codes, &mut nested_absmax)?;
        let Quantized4Bit { codes, len, block_size, data_type, .. } = tensor;
        Ok(DoubleQuantized4Bit { codes, absmax_codes, nested_absmax, offset, len, block_size, data_type })
    }

    /// Converts back to a tensor with absmax values in single precision.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub fn to_single(&self) -> Result<Quantized4Bit> {
        let (codes, absmax) = (self.codes.clone(), self.absmax()?);
        Ok(Quantized4Bit { codes, absmax, len: self.len, block_size: self.block_size, data_type: self.data_type })
    }

    /// The absmax of every block: `map[code] nested_absmax`, rounded, plus the offset.
    ///
    /// # Errors
    /// As for [`check`](Self::check); [`Code::NON_FINITE`](crate::Code::NON_FINITE) if a value overflows.
    pub fn absmax(&self) -> Result<Vec<f32>> {
        self.check()?;
        decode_absmax(&self.absmax_codes, &self.nested_absmax, self.offset)
    }

    /// Size in bytes: codes, absmax codes, nested absmax and offset. The code tables are constants and not counted.
    pub fn memory_bytes(&self) -> usize {
        self.codes.len() + self.absmax_codes.len() + 4 * self.nested_absmax.len() + 4
    }

    /// Compression ratio relative to f32.
    ///
    /// # Errors
    /// [`Code::NO_DATA`](crate::Code::NO_DATA) for an empty tensor.
    pub fn compression_ratio(&self) -> Result<f64> {
        compression_ratio(self.len, self.memory_bytes())
    }

    /// The number of bytes that double quantization saves; negative for a tensor of one or two blocks.
    pub fn double_quant_savings(&self) -> i64 {
        let single = self.codes.len() + 4 * self.absmax_codes.len();
        single as i64 - self.memory_bytes() as i64
    }

    /// The options the tensor was quantized with.
    pub fn options(&self) -> Quantize4BitOptions {
        Quantize4BitOptions { data_type: self.data_type, block_size: self.block_size }
    }

    /// Checks that the parts match each other.
    ///
    /// # Errors
    /// [`Code::RANGE`](crate::Code::RANGE) for the block size, [`Code::LENGTH`](crate::Code::LENGTH) for parts whose
    /// length does not match the number of weights, [`Code::NON_FINITE`](crate::Code::NON_FINITE) for a NaN or infinite
    /// nested absmax or offset.
    pub fn check(&self) -> Result<()> {
        let blocks = self.options().blocks(self.len)?;
        validation::length("the list of absmax codes", self.absmax_codes.len(), blocks)?;
        validation::length(
            "the list of nested absmax",
            self.nested_absmax.len(),
            blocks.div_ceil(DOUBLE_QUANT_BLOCK_SIZE),
        )?;
        validation::length("the list of codes", self.codes.len(), self.options().codes_len(self.len))?;
        validation::finite(&self.nested_absmax, "nested absmax")?;
        validation::finite(&[self.offset], "offset")
    }

    /// Serializes the tensor; [`from_bytes`](Self::from_bytes) reads it. Use [`to_state_dict`](Self::to_state_dict) to
    /// exchange tensors with other programs.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(TAG, 1);
        writer.u8(self.data_type as u8).count(self.block_size).count(self.len).f32(self.offset);
        writer.f32s(&self.nested_absmax).bytes(&self.absmax_codes).bytes(&self.codes).finish()
    }

    /// Reads a tensor serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::TRUNCATED`](crate::Code::TRUNCATED), [`Code::MAGIC`](crate::Code::MAGIC),
    /// [`Code::MALFORMED`](crate::Code::MALFORMED), [`Code::UNSUPPORTED`](crate::Code::UNSUPPORTED), and as for
    /// [`check`](Self::check).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, TAG, 1, "DoubleQuantized4Bit")?;
        let data_type = reader.choice(&DataType4Bit::ALL, "data type")?;
        let (block_size, len, offset) = (reader.count()?, reader.count()?, reader.f32()?);
        let (nested_absmax, absmax_codes, codes) = (reader.f32s()?, reader.bytes()?, reader.bytes()?);
        reader.finish()?;
        let tensor = DoubleQuantized4Bit { codes, absmax_codes, nested_absmax, offset, len, block_size, data_type };
        tensor.check()?;
        Ok(tensor)
    }
}

/// Quantizes absmax values on their own: returns their codes, the nested absmax of every 256, and the offset (their
/// mean).
///
/// # Errors
/// [`Code::NON_FINITE`](crate::Code::NON_FINITE) for a NaN or infinite absmax.
pub fn double_absmax(absmax: Vec<f32>) -> Result<(Vec<u8>, Vec<f32>, f32)> {
    validation::finite(&absmax, "absmax")?;
    let offset = mean(&absmax);
    let mut codes = allocation::zeros(absmax.len())?;
    let mut nested = allocation::zeros(absmax.len().div_ceil(DOUBLE_QUANT_BLOCK_SIZE))?;
    quantize_absmax(absmax, offset, &mut codes, &mut nested)?;
    Ok((codes, nested, offset))
}

/// The absmax that [`double_absmax`] stands for.
///
/// # Errors
/// [`Code::NON_FINITE`](crate::Code::NON_FINITE) if one overflows.
pub fn decode_absmax(codes: &[u8], nested: &[f32], offset: f32) -> Result<Vec<f32>> {
    let blocks = codes.chunks(DOUBLE_QUANT_BLOCK_SIZE).zip(nested);
    let decode = |(codes, &nested): (&[u8], &f32)| -> Vec<f32> {
        codes.iter().map(|&code| dynamic_map::decode(code, nested) + offset).collect()
    };
    let absmax: Vec<f32> = blocks.flat_map(decode).collect();
    validation::finite(&absmax, "absmax").map(|()| absmax)
}

fn mean(values: &[f32]) -> f32 {
    let sum: f64 = values.iter().map(|&x| f64::from(x)).sum();
    if values.is_empty() { 0.0 } else { (sum / values.len() as f64) as f32 }
}

fn quantize_absmax(mut absmax: Vec<f32>, offset: f32, codes: &mut [u8], nested: &mut [f32]) -> Result<()> {
    validation::finite(&[offset], "offset")?;
    for x in &mut absmax {
        *x -= offset;
    }
    validation::finite(&absmax, "absmax minus the offset")?;
    let blocks = absmax.chunks(DOUBLE_QUANT_BLOCK_SIZE).zip(codes.chunks_mut(DOUBLE_QUANT_BLOCK_SIZE));
    for ((values, codes), nested) in blocks.zip(nested) {
        *nested = dynamic_map::encode(values, codes);
    }
    Ok(())
}

/// Quantizes weights to 4 bits and their absmax values to 8, like bitsandbytes with `compress_statistics=True`.
///
/// # Errors
/// As for [`quantize_4bit`].
pub fn quantize_4bit_double(values: &[f32], options: &Quantize4BitOptions) -> Result<DoubleQuantized4Bit> {
    DoubleQuantized4Bit::from_single(quantize_4bit(values, options)?, None)
}

/// [`quantize_4bit_double`] into caller's buffers: codes, one absmax code per block, one nested absmax per 256 blocks.
/// Returns the offset.
///
/// # Errors
/// As for [`quantize_4bit_into`], and [`Code::LENGTH`](crate::Code::LENGTH) for the buffers of the second level.
pub fn quantize_4bit_double_into(
    values: &[f32],
    options: &Quantize4BitOptions,
    codes: &mut [u8],
    absmax_codes: &mut [u8],
    nested_absmax: &mut [f32],
) -> Result<f32> {
    let blocks = options.blocks(values.len())?;
    validation::length("the output of absmax codes", absmax_codes.len(), blocks)?;
    validation::length("the output of nested absmax", nested_absmax.len(), blocks.div_ceil(DOUBLE_QUANT_BLOCK_SIZE))?;
    let mut absmax = allocation::zeros(blocks)?;
    quantize_4bit_into(values, options, codes, &mut absmax)?;
    let offset = mean(&absmax);
    quantize_absmax(absmax, offset, absmax_codes, nested_absmax)?;
    Ok(offset)
}

/// Dequantizes a double-quantized tensor.
///
/// # Errors
/// As for [`DoubleQuantized4Bit::check`].
pub fn dequantize_4bit_double(tensor: &DoubleQuantized4Bit) -> Result<Vec<f32>> {
    tensor.check()?;
    let mut out = allocation::zeros(tensor.len)?;
    dequantize_4bit_double_into(tensor, &mut out)?;
    Ok(out)
}

/// [`dequantize_4bit_double`] into a caller's buffer of one value per weight.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) if `out` has a different length, [`Code::NON_FINITE`](crate::Code::NON_FINITE)
/// if an absmax overflows, and as for [`DoubleQuantized4Bit::check`].
pub fn dequantize_4bit_double_into(tensor: &DoubleQuantized4Bit, out: &mut [f32]) -> Result<()> {
    dequantize_tiles(tensor, out)
}

/// [`dequantize_4bit_double_into`] for any array.
pub(crate) fn dequantize_tiles(tensor: &DoubleQuantized4Bit, out: impl Output<Item = f32>) -> Result<()> {
    decode_tiles(&tensor.codes, &tensor.absmax()?, &tensor.options(), tensor.len, out)
}

impl TryFrom<Quantized4Bit> for DoubleQuantized4Bit {
    type Error = Error;

    fn try_from(tensor: Quantized4Bit) -> Result<Self> {
        Self::from_single(tensor, None)
    }
}
