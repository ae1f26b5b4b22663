//! Quantizes and dequantizes tensors.

use super::calibrate::calibrate;
use super::granularity::{Layout, QuantGranularity};
use super::kernel;
use super::packing::{self, packed_len};
use super::params::QuantParams;
use super::scheme::{QuantMode, QuantScheme};
use crate::allocation;
use crate::error::Result;
use crate::serialization::{Reader, Writer};
use crate::tiling::{Input, Output, map_tiles, tiles};
use crate::validation;

/// A tensor as packed codes, with everything needed to dequantize it.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedTensor {
    /// The codes in row-major order, `params.bits` bits each (see [`packing`](crate::affine::packing)).
    pub data: Vec<u8>,
    /// The quantization parameters.
    pub params: QuantParams,
    /// The size of each dimension.
    pub shape: Vec<usize>,
}

/// Codes are packed and unpacked through a stack buffer of this many; a multiple of 8, so that the codes fill whole
/// bytes.
const PIECE: usize = 4096;
const TAG: [u8; 4] = *b"QPat";

impl QuantizedTensor {
    /// Size in memory in bytes: packed codes, scales, zero points.
    pub fn memory_bytes(&self) -> usize {
        self.data.len() + self.params.memory_bytes()
    }

    /// Checks that the parameters and the number of codes match the shape, and returns the layout.
    ///
    /// # Errors
    /// As for [`QuantParams::layout`]; [`Code::LENGTH`](crate::Code::LENGTH) if `data` has a different length.
    pub fn check(&self) -> Result<Layout> {
        let layout = self.params.layout(&self.shape)?;
        validation::length("the packed data", self.data.len(), packed_len(layout.len(), self.params.bits))?;
        Ok(layout)
    }

    /// Serializes the tensor; [`from_bytes`](Self::from_bytes) reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(TAG, 1);
        self.params.write(&mut writer);
        writer.counts(&self.shape).bytes(&self.data).finish()
    }

    /// Reads a tensor serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::TRUNCATED`](crate::Code::TRUNCATED), [`Code::MAGIC`](crate::Code::MAGIC),
    /// [`Code::MALFORMED`](crate::Code::MALFORMED), [`Code::UNSUPPORTED`](crate::Code::UNSUPPORTED), and as for
    /// [`check`](Self::check).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, TAG, 1, "QuantizedTensor")?;
        let params = QuantParams::read(&mut reader)?;
        let tensor = QuantizedTensor { params, shape: reader.counts()?, data: reader.bytes()? };
        reader.finish()?;
        tensor.check()?;
        Ok(tensor)
    }
}

/// Quantizes to one code per byte: `q = clamp(round_half_even(x (1 / s)) + z, qmin, qmax)`, as `i8` bits if codes are
/// signed.
///
/// # Errors
/// As for [`quantize_with_params_into`].
pub fn quantize_with_params(values: &[f32], shape: &[usize], params: &QuantParams) -> Result<Vec<u8>> {
    let mut codes = allocation::zeros(values.len())?;
    quantize_with_params_into(values, shape, params, &mut codes)?;
    Ok(codes)
}

/// [`quantize_with_params`] into a caller's buffer of one byte per value.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) if values, shape, parameters and output do not match,
/// [`Code::NON_FINITE`](crate::Code::NON_FINITE) with the index of the first NaN or infinite value, and as for
/// [`QuantParams::check`]. After an error the contents of the output are unspecified.
pub fn quantize_with_params_into(
    values: &[f32],
    shape: &[usize],
    params: &QuantParams,
    codes: &mut [u8],
) -> Result<()> {
    quantize_tiles(values, shape, params, codes)
}

/// [`quantize_with_params_into`] for any arrays.
pub(crate) fn quantize_tiles(
    values: impl Input<Item = f32>,
    shape: &[usize],
    params: &QuantParams,
    codes: impl Output<Item = u8>,
) -> Result<()> {
    let prepared = Prepared::new(params, shape, values.len())?;
    validation::length("the output of codes", codes.len(), values.len())?;
    map_tiles(values, codes, |start, values, codes| prepared.quantize(values, start, codes))
}

/// Dequantizes codes, given one per byte: `x = s (q - z)`.
///
/// # Errors
/// As for [`dequantize_with_params_into`].
pub fn dequantize_with_params(codes: &[u8], shape: &[usize], params: &QuantParams) -> Result<Vec<f32>> {
    let mut out = allocation::zeros(codes.len())?;
    dequantize_with_params_into(codes, shape, params, &mut out)?;
    Ok(out)
}

/// [`dequantize_with_params`] into a caller's buffer of one value per code.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) if codes, shape, parameters and output do not match,
/// [`Code::RANGE`](crate::Code::RANGE) with the index of the first code outside the parameters' range, and as for
/// [`QuantParams::check`]. After an error the contents of the output are unspecified.
pub fn dequantize_with_params_into(codes: &[u8], shape: &[usize], params: &QuantParams, out: &mut [f32]) -> Result<()> {
    dequantize_tiles(codes, shape, params, out)
}

/// [`dequantize_with_params_into`] for any arrays.
pub(crate) fn dequantize_tiles(
    codes: impl Input<Item = u8>,
    shape: &[usize],
    params: &QuantParams,
    out: impl Output<Item = f32>,
) -> Result<()> {
    let prepared = Prepared::new(params, shape, codes.len())?;
    validation::length("the output of values", out.len(), codes.len())?;
    map_tiles(codes, out, |start, codes, out| prepared.dequantize(codes, start, out))
}

/// Quantizes a tensor with parameters from its minimum and maximum, and the default code range of the mode
/// ([`QuantScheme::new`]).
///
/// ```
/// use quantpress::affine::{QuantGranularity, QuantMode, dequantize_tensor, quantize_tensor};
/// let weights = [0.5, -1.0, 0.25, 30.0, -60.0, 15.0];
/// let per_row = QuantGranularity::PerChannel { axis: 0 };
/// let tensor = quantize_tensor(&weights, &[2, 3], per_row, QuantMode::Symmetric, 4)?;
/// assert_eq!(tensor.memory_bytes(), 3 + 2 * 4); // six 4-bit codes, two scales
/// let decoded = dequantize_tensor(&tensor)?;
/// assert_eq!(decoded[1], -1.0);
/// assert_eq!(decoded[4], -60.0);
/// # Ok::<(), quantpress::Error>(())
/// ```
///
/// # Errors
/// As for [`calibrate`] and [`quantize_with_params_into`].
pub fn quantize_tensor(
    values: &[f32],
    shape: &[usize],
    granularity: QuantGranularity,
    mode: QuantMode,
    bits: u8,
) -> Result<QuantizedTensor> {
    quantize_tensor_with(values, shape, granularity, &QuantScheme::new(bits, mode)?)
}

/// [`quantize_tensor`] with any scheme: signed, unsigned or narrow codes, and any rule for symmetric scales.
///
/// # Errors
/// As for [`calibrate`] and [`quantize_with_params_into`].
pub fn quantize_tensor_with(
    values: &[f32],
    shape: &[usize],
    granularity: QuantGranularity,
    scheme: &QuantScheme,
) -> Result<QuantizedTensor> {
    let params = calibrate(values, shape, granularity, scheme)?;
    let mut data = allocation::zeros(packed_len(values.len(), params.bits))?;
    quantize_packed_into(values, shape, &params, &mut data)?;
    Ok(QuantizedTensor { data, params, shape: shape.to_vec() })
}

/// Quantizes with given parameters into packed codes, a buffer of [`packed_len`] bytes.
///
/// # Errors
/// As for [`quantize_with_params_into`].
pub fn quantize_packed_into(values: &[f32], shape: &[usize], params: &QuantParams, packed: &mut [u8]) -> Result<()> {
    pack_tiles(values, shape, params, packed)
}

/// [`quantize_packed_into`] for any arrays.
pub(crate) fn pack_tiles(
    mut values: impl Input<Item = f32>,
    shape: &[usize],
    params: &QuantParams,
    mut packed: impl Output<Item = u8>,
) -> Result<()> {
    let prepared = Prepared::new(params, shape, values.len())?;
    let bytes = |count| packed_len(count, params.bits);
    validation::length("the packed output", packed.len(), bytes(values.len()))?;
    for range in tiles(values.len(), packed.tile()) {
        let values = values.read(range.clone());
        packed.write(bytes(range.start)..bytes(range.end), |packed| prepared.pack(values, range.start, packed))?;
    }
    Ok(())
}

/// Dequantizes a tensor.
///
/// # Errors
/// As for [`dequantize_tensor_into`].
pub fn dequantize_tensor(tensor: &QuantizedTensor) -> Result<Vec<f32>> {
    // The structure is checked before its shape determines the size of an allocation.
    let mut out = allocation::zeros(tensor.check()?.len())?;
    dequantize_tensor_into(tensor, &mut out)?;
    Ok(out)
}

/// [`dequantize_tensor`] into a caller's buffer of one value per element.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) if `out` has a different length, [`Code::RANGE`](crate::Code::RANGE) with the
/// index of the first code outside the parameters' range, and as for [`QuantizedTensor::check`].
pub fn dequantize_tensor_into(tensor: &QuantizedTensor, out: &mut [f32]) -> Result<()> {
    unpack_tiles(tensor.data.as_slice(), &tensor.shape, &tensor.params, out)
}

/// [`dequantize_tensor_into`] for any arrays.
pub(crate) fn unpack_tiles(
    mut packed: impl Input<Item = u8>,
    shape: &[usize],
    params: &QuantParams,
    mut out: impl Output<Item = f32>,
) -> Result<()> {
    let len = validation::elements(shape)?;
    let prepared = Prepared::new(params, shape, len)?;
    let bytes = |count| packed_len(count, params.bits);
    validation::length("the packed data", packed.len(), bytes(len))?;
    validation::length("the output of values", out.len(), len)?;
    for range in tiles(len, out.tile()) {
        let packed = packed.read(bytes(range.start)..bytes(range.end));
        out.write(range.clone(), |out| prepared.unpack(packed, range.start, out))?;
    }
    Ok(())
}

/// Parameters that match their tensor, in the form the loops need.
pub(crate) struct Prepared<'a> {
    params: &'a QuantParams,
    layout: Layout,
    /// The reciprocals of all scales if neighbouring values have neighbouring scales; the loop must not divide.
    inverses: Vec<f32>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(params: &'a QuantParams, shape: &[usize], len: usize) -> Result<Self> {
        let layout = params.layout(shape)?;
        validation::shape("the tensor", len, shape)?;
        let stepped = if layout.is_stepped() { params.scales.as_slice() } else { &[] };
        Ok(Prepared { params, layout, inverses: stepped.iter().map(|scale| 1.0 / scale).collect() })
    }

    /// A group's parameters in the form the loops need.
    pub(crate) fn affine(&self, group: usize) -> kernel::Affine {
        self.params.affine(group)
    }

    /// The parameters of consecutive values in a run whose scales step.
    fn stepped(&self, group: usize) -> impl Iterator<Item = kernel::Affine> {
        let range = self.params.range;
        let scales = self.params.scales.iter().zip(&self.inverses).enumerate().skip(group);
        scales.map(move |(index, (&scale, &inverse))| {
            let zero_point = self.params.zero_point(index);
            let bounds = ((range.qmin - zero_point) as f32, (range.qmax - zero_point) as f32);
            kernel::Affine { inverse, scale, zero_point, bounds }
        })
    }

    /// Calls `run` for every run of values with the same parameters and `one` for every value with its own. `values`
    /// starts at index `start` of the tensor.
    pub(crate) fn zip<T, U>(
        &self,
        values: &[T],
        start: usize,
        out: &mut [U],
        mut run: impl FnMut(&[T], kernel::Affine, &mut [U]),
        one: impl Fn(&T, kernel::Affine, &mut U),
    ) {
        for part in self.layout.runs(start..start + values.len()) {
            let range = part.range.start - start..part.range.end - start;
            let (values, out) = (&values[range.clone()], &mut out[range]);
            if part.stepped {
                for ((x, out), affine) in values.iter().zip(out).zip(self.stepped(part.group)) {
                    one(x, affine, out);
                }
            } else {
                run(values, self.params.affine(part.group), out);
            }
        }
    }

    /// Quantizes values from index `start`, a multiple of 8, to packed codes.
    fn pack(&self, values: &[f32], start: usize, packed: &mut [u8]) -> Result<()> {
        let bits = self.params.bits;
        if bits == 8 {
            return self.quantize(values, start, packed);
        }
        let mut buffer = [0; PIECE];
        let pieces = values.chunks(PIECE).zip(packed.chunks_mut(packed_len(PIECE, bits)));
        for (index, (values, packed)) in pieces.enumerate() {
            let codes = &mut buffer[..values.len()];
            self.quantize(values, start + index * PIECE, codes)?;
            packing::pack(codes, bits, packed);
        }
        Ok(())
    }

    /// Dequantizes packed codes to values from index `start`, a multiple of 8.
    ///
    /// # Errors
    /// As for [`dequantize`](Self::dequantize).
    fn unpack(&self, packed: &[u8], start: usize, out: &mut [f32]) -> Result<()> {
        let bits = self.params.bits;
        if bits == 8 {
            return self.dequantize(packed, start, out);
        }
        let mut buffer = [0; PIECE];
        let pieces = out.chunks_mut(PIECE).zip(packed.chunks(packed_len(PIECE, bits)));
        for (index, (out, packed)) in pieces.enumerate() {
            let codes = &mut buffer[..out.len()];
            packing::unpack(packed, bits, self.params.is_signed(), codes);
            self.dequantize(codes, start + index * PIECE, out)?;
        }
        Ok(())
    }

    /// Quantizes and dequantizes values from index `start` without storing codes.
    pub(crate) fn fake(&self, values: &[f32], start: usize, out: &mut [f32]) -> Result<()> {
        let mut finite = true;
        let run = |values: &[f32], affine, out: &mut [f32]| finite &= kernel::fake(values, affine, out);
        self.zip(values, start, out, run, |x, affine, out| *out = affine.fake(*x));
        self.checked(finite, values, start)
    }

    /// Quantizes values from index `start` to one code per byte.
    fn quantize(&self, values: &[f32], start: usize, codes: &mut [u8]) -> Result<()> {
        let mut finite = true;
        let run = |values: &[f32], affine, codes: &mut [u8]| finite &= kernel::quantize(values, affine, codes);
        self.zip(values, start, codes, run, |x, affine, code| *code = affine.code(*x));
        self.checked(finite, values, start)
    }

    /// The error of the first non-finite value, if a run found one.
    fn checked(&self, finite: bool, values: &[f32], start: usize) -> Result<()> {
        // Stepped values are scanned again: they are few or slow anyway, and their loop stays simple.
        if finite && !self.layout.is_stepped() {
            return Ok(());
        }
        match validation::first_non_finite(values) {
            None => Ok(()),
            Some(index) => Err(validation::non_finite(values[index], start + index, "value")),
        }
    }

    /// Dequantizes codes, one per byte, to values from index `start`.
    ///
    /// # Errors
    /// [`Code::RANGE`](crate::Code::RANGE) with the index of the first code outside the parameters' range.
    fn dequantize(&self, codes: &[u8], start: usize, out: &mut [f32]) -> Result<()> {
        let (signed, range) = (self.params.is_signed(), self.params.range);
        packing::check_range(codes, start, range.qmin, range.qmax)?;
        let run = |codes: &[u8], affine, out: &mut [f32]| kernel::dequantize(codes, signed, affine, out);
        self.zip(codes, start, out, run, |&code, affine, out| {
            let code = if signed { i32::from(code as i8) } else { i32::from(code) };
            *out = (code - affine.zero_point) as f32 * affine.scale;
        });
        Ok(())
    }
}
