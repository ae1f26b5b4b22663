//! Writes and reads the tensors in which bitsandbytes stores one 4-bit weight.
//!
//! ```text
//! NAME                                       U8   [ceil(n / 2), 1]  the codes
//! NAME.absmax                                F32  [blocks], or U8 codes with double quantization
//! NAME.quant_map                             F32  [16]              the table of the data type
//! NAME.nested_absmax                         F32  [ceil(blocks / 256)]
//! NAME.nested_quant_map                      F32  [256]             the dynamic map
//! NAME.quant_state.bitsandbytes__nf4         U8   the remaining fields, as JSON
//! ```
//!
//! Source: `QuantState.as_dict(packed=True)` and `from_dict` of bitsandbytes 0.50.2.

use super::blockwise::Quantized4Bit;
use super::codebook::DataType4Bit;
use super::double_quant::{DOUBLE_QUANT_BLOCK_SIZE, DoubleQuantized4Bit};
use super::dynamic_map::DYNAMIC_MAP;
use super::json::python_number;
use crate::error::{Code, Error, Result};
use crate::json::{self, Value};
use crate::validation;

/// The dtype of a tensor in a state dict, named as in safetensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateDtype {
    /// Bytes.
    U8,
    /// IEEE single precision, little-endian.
    F32,
}

impl StateDtype {
    /// The name in safetensors: "U8", "F32".
    pub const fn name(self) -> &'static str {
        match self {
            StateDtype::U8 => "U8",
            StateDtype::F32 => "F32",
        }
    }
}

/// One tensor of the state dict.
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor {
    /// The full name.
    pub name: String,
    /// The dtype.
    pub dtype: StateDtype,
    /// The shape.
    pub shape: Vec<usize>,
    /// The data, little-endian.
    pub data: Vec<u8>,
}

/// A 4-bit weight, with or without double quantization.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor4Bit {
    /// With absmax values in single precision.
    Single(Quantized4Bit),
    /// With absmax values as 8-bit codes.
    Double(DoubleQuantized4Bit),
}

/// A weight read from a state dict.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoadedState {
    /// Codes and scales.
    pub tensor: Tensor4Bit,
    /// The shape of the original weight.
    pub shape: Vec<usize>,
    /// The dtype of the original weight, to which bitsandbytes dequantizes: "float32", "float16" or "bfloat16".
    pub dtype: String,
}

const DTYPES: [&str; 3] = ["float32", "float16", "bfloat16"];
/// Before the name of the type.
pub(super) const STATE: &str = "quant_state.bitsandbytes__";

impl Quantized4Bit {
    /// Returns the tensors in which bitsandbytes stores this weight. `dtype` is the dtype it will be dequantized to
    /// ("float32", "float16" or "bfloat16").
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for INT4, which bitsandbytes does not have; [`Code::UNKNOWN_NAME`] for another `dtype`;
    /// [`Code::LENGTH`] if the shape does not match the number of weights; and as for [`check`](Self::check).
    pub fn to_state_dict(&self, name: &str, shape: &[usize], dtype: &str) -> Result<Vec<StateTensor>> {
        self.check()?;
        let absmax = floats(name, ".absmax", &self.absmax);
        state_dict(name, shape, dtype, (self.len, self.block_size, self.data_type), &self.codes, absmax, None)
    }
}

impl DoubleQuantized4Bit {
    /// Returns the tensors in which bitsandbytes stores this weight.
    ///
    /// # Errors
    /// As for [`Quantized4Bit::to_state_dict`].
    pub fn to_state_dict(&self, name: &str, shape: &[usize], dtype: &str) -> Result<Vec<StateTensor>> {
        self.check()?;
        let absmax = bytes(name, ".absmax", vec![self.absmax_codes.len()], &self.absmax_codes);
        let nested = Some((self.nested_absmax.as_slice(), self.offset));
        state_dict(name, shape, dtype, (self.len, self.block_size, self.data_type), &self.codes, absmax, nested)
    }
}

fn bytes(name: &str, suffix: &str, shape: Vec<usize>, data: &[u8]) -> StateTensor {
    StateTensor { name: format!("{name}{suffix}"), dtype: StateDtype::U8, shape, data: data.to_vec() }
}

fn floats(name: &str, suffix: &str, values: &[f32]) -> StateTensor {
    let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    StateTensor { name: format!("{name}{suffix}"), dtype: StateDtype::F32, shape: vec![values.len()], data }
}

fn state_dict(
    name: &str,
    shape: &[usize],
    dtype: &str,
    (len, block_size, data_type): (usize, usize, DataType4Bit),
    codes: &[u8],
    absmax: StateTensor,
    nested: Option<(&[f32], f32)>,
) -> Result<Vec<StateTensor>> {
    validation::shape("the tensor", len, shape)?;
    let kind = data_type.name();
    let json = state_json(data_type, block_size, dtype, shape, nested.map(|(_, offset)| offset))?;
    let mut tensors = vec![bytes(name, "", vec![codes.len(), 1], codes), absmax];
    tensors.push(floats(name, ".quant_map", data_type.table()));
    if let Some((absmax, _)) = nested {
        tensors.push(floats(name, ".nested_absmax", absmax));
        tensors.push(floats(name, ".nested_quant_map", &*DYNAMIC_MAP));
    }
    tensors.push(bytes(name, &format!(".{STATE}{kind}"), vec![json.len()], json.as_bytes()));
    Ok(tensors)
}

/// The fields without tensors of their own as JSON, with Python's spacing. `nested_offset` is given with double
/// quantization.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for INT4, which bitsandbytes does not have; [`Code::UNKNOWN_NAME`] for another `dtype`.
pub fn state_json(
    data_type: DataType4Bit,
    block_size: usize,
    dtype: &str,
    shape: &[usize],
    nested_offset: Option<f32>,
) -> Result<String> {
    if data_type == DataType4Bit::Int4 {
        return Err(Error::new(Code::UNSUPPORTED, "bitsandbytes does not support linear INT4; use nf4 or fp4"));
    }
    check_dtype(dtype)?;
    let kind = data_type.name();
    let mut json =
        format!(r#"{{"quant_type": "{kind}", "blocksize": {block_size}, "dtype": "{dtype}", "shape": {shape:?}"#);
    if let Some(offset) = nested_offset {
        let (size, offset) = (DOUBLE_QUANT_BLOCK_SIZE, python_number(offset.into()));
        json += &format!(r#", "nested_blocksize": {size}, "nested_dtype": "float32", "nested_offset": {offset}"#);
    }
    json.push('}');
    Ok(json)
}

fn check_dtype(dtype: &str) -> Result<()> {
    if DTYPES.contains(&dtype) {
        return Ok(());
    }
    let message = format!("unknown dtype '{dtype}'; bitsandbytes dequantizes to {}", DTYPES.join(", "));
    Err(Error::new(Code::UNKNOWN_NAME, message).with("dtype", dtype))
}

/// Reads the weight `name` from the tensors of a state dict, which may contain others.
///
/// # Errors
/// [`Code::ARGUMENT`] if a tensor is missing or has the wrong dtype, [`Code::MALFORMED`] for a quantization state that
/// bitsandbytes would not write, [`Code::UNSUPPORTED`] for a code table or double quantization that differs from
/// bitsandbytes' own, [`Code::LENGTH`] and others if the parts do not match each other.
pub fn from_state_dict(tensors: &[StateTensor], name: &str) -> Result<LoadedState> {
    let find = |suffix: &str| tensors.iter().find(|tensor| tensor.name.strip_prefix(name) == Some(suffix));
    let kinds = [DataType4Bit::Nf4, DataType4Bit::Fp4];
    let packed = kinds.into_iter().find_map(|kind| Some((kind, find(&format!(".{STATE}{}", kind.name()))?)));
    let (data_type, packed) = packed.ok_or_else(|| missing(name, &format!(".{STATE}nf4")))?;
    let state = State(json::parse(of_type(packed, StateDtype::U8)?, "the quantization state")?);

    if state.text("quant_type")? != data_type.name() {
        return Err(malformed("quant_type", "a type that differs from the name of its tensor"));
    }
    let dtype = state.text("dtype")?.to_owned();
    check_dtype(&dtype)?;
    let block_size = state.count("blocksize")?;
    let shape = state.counts("shape")?;
    let len = validation::elements(&shape)?;

    let part = |suffix: &str| find(suffix).ok_or_else(|| missing(name, suffix));
    let codes = of_type(part("")?, StateDtype::U8)?.to_vec();
    same_table(&read_floats(part(".quant_map")?)?, data_type.table(), "quant_map")?;
    let tensor = if find(".nested_absmax").is_some() {
        let nested_absmax = read_floats(part(".nested_absmax")?)?;
        same_table(&read_floats(part(".nested_quant_map")?)?, &*DYNAMIC_MAP, "nested_quant_map")?;
        if state.count("nested_blocksize")? != DOUBLE_QUANT_BLOCK_SIZE || state.text("nested_dtype")? != "float32" {
            let message = "double quantization must use blocks of 256 in float32, as bitsandbytes does";
            return Err(Error::new(Code::UNSUPPORTED, message));
        }
        let offset = state.number("nested_offset")? as f32;
        let absmax_codes = of_type(part(".absmax")?, StateDtype::U8)?.to_vec();
        let tensor = DoubleQuantized4Bit { codes, absmax_codes, nested_absmax, offset, len, block_size, data_type };
        tensor.check()?;
        Tensor4Bit::Double(tensor)
    } else {
        let absmax = read_floats(part(".absmax")?)?;
        let tensor = Quantized4Bit { codes, absmax, len, block_size, data_type };
        tensor.check()?;
        Tensor4Bit::Single(tensor)
    };
    Ok(LoadedState { tensor, shape, dtype })
}

/// The quantization state as JSON.
struct State(Value);

impl State {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> Result<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(malformed(name, "a value that is not a string")),
        }
    }

    fn number(&self, name: &str) -> Result<f64> {
        match self.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            _ => Err(malformed(name, "a value that is not a number")),
        }
    }

    fn count(&self, name: &str) -> Result<usize> {
        count(self.number(name)?).ok_or_else(|| malformed(name, "a value that is not a count"))
    }

    fn counts(&self, name: &str) -> Result<Vec<usize>> {
        let numbers = self.get(name).and_then(Value::as_list);
        let counts = numbers.and_then(|numbers| numbers.iter().map(|n| count(n.as_f64()?)).collect::<Option<_>>());
        counts.ok_or_else(|| malformed(name, "a value that is not a list of counts"))
    }
}

fn count(number: f64) -> Option<usize> {
    // Doubles are exact up to 2^53, and no tensor is longer.
    let whole = (0.0..=9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as u64).and_then(|n| usize::try_from(n).ok())
}

fn malformed(name: &str, what: &str) -> Error {
    Error::new(Code::MALFORMED, format!("the quantization state has {what} for '{name}'")).with("name", name)
}

fn missing(name: &str, suffix: &str) -> Error {
    let message = format!("'{name}' is not a 4-bit weight of bitsandbytes: there is no '{name}{suffix}'");
    Error::new(Code::ARGUMENT, message).with("name", name)
}

fn of_type(tensor: &StateTensor, dtype: StateDtype) -> Result<&[u8]> {
    if tensor.dtype == dtype {
        return Ok(&tensor.data);
    }
    let message = format!("'{}' has dtype {}, but must be {}", tensor.name, tensor.dtype.name(), dtype.name());
    Err(Error::new(Code::ARGUMENT, message).with("name", tensor.name.as_str()))
}

fn read_floats(tensor: &StateTensor) -> Result<Vec<f32>> {
    let (chunks, rest) = of_type(tensor, StateDtype::F32)?.as_chunks::<4>();
    if !rest.is_empty() {
        let message =
            format!("'{}' has {} bytes, which is not a multiple of 4 (float32)", tensor.name, tensor.data.len());
        return Err(Error::new(Code::LENGTH, message).with("name", tensor.name.as_str()));
    }
    Ok(chunks.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect())
}

/// Checks that a table in the file is our own, with the tolerance that bitsandbytes uses.
fn same_table(found: &[f32], ours: &[f32], name: &str) -> Result<()> {
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6;
    if found.len() == ours.len() && found.iter().zip(ours).all(near) {
        return Ok(());
    }
    Err(Error::new(Code::UNSUPPORTED, format!("'{name}' is not the code table of its data type")).with("name", name))
}
