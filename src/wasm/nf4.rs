//! JavaScript bindings of `nf4/`.

use super::arrays::{TypedArray as _, reading, writing};
use super::build::Object;
use super::read::{Fields, shape};
use crate::error::{Code, Error};
use crate::nf4::{
    self, DataType4Bit, DoubleQuantized4Bit, Quantize4BitOptions, Quantized4Bit, StateDtype, StateTensor, Tensor4Bit,
};
use js_sys::{Array, Float32Array, Uint8Array};
use wasm_bindgen::prelude::*;

fn options(data_type: &str, block_size: usize) -> Result<Quantize4BitOptions, Error> {
    let data_type = DataType4Bit::ALL.into_iter().find(|known| known.name() == data_type).ok_or_else(|| {
        let message = format!("unknown 4-bit type '{data_type}'; the known types are nf4, fp4, int4");
        Error::new(Code::UNKNOWN_NAME, message).with("dataType", data_type)
    })?;
    Ok(Quantize4BitOptions { data_type, block_size })
}

/// The fields of both kinds of tensors.
fn common(codes: &[u8], len: usize, block_size: usize, data_type: DataType4Bit) -> Object {
    let object = Object::new().bytes("codes", codes).value("length", len).value("blockSize", block_size);
    object.value("dataType", data_type.name())
}

fn single_to_js(tensor: &Quantized4Bit) -> JsValue {
    common(&tensor.codes, tensor.len, tensor.block_size, tensor.data_type).floats("absmax", &tensor.absmax).done()
}

fn single_from_js(value: &JsValue) -> Result<Quantized4Bit, Error> {
    let fields = Fields(value);
    let Quantize4BitOptions { data_type, block_size } = options(&fields.text("dataType")?, fields.size("blockSize")?)?;
    let (codes, absmax) = (fields.bytes("codes")?, fields.floats("absmax")?);
    Ok(Quantized4Bit { codes, absmax, len: fields.size("length")?, block_size, data_type })
}

fn double_to_js(tensor: &DoubleQuantized4Bit) -> JsValue {
    let object = common(&tensor.codes, tensor.len, tensor.block_size, tensor.data_type);
    let object = object.bytes("absmaxCodes", &tensor.absmax_codes).floats("nestedAbsmax", &tensor.nested_absmax);
    object.value("offset", tensor.offset).done()
}

fn double_from_js(value: &JsValue) -> Result<DoubleQuantized4Bit, Error> {
    let fields = Fields(value);
    let Quantize4BitOptions { data_type, block_size } = options(&fields.text("dataType")?, fields.size("blockSize")?)?;
    Ok(DoubleQuantized4Bit {
        codes: fields.bytes("codes")?,
        absmax_codes: fields.bytes("absmaxCodes")?,
        nested_absmax: fields.floats("nestedAbsmax")?,
        offset: fields.number("offset")? as f32,
        len: fields.size("length")?,
        block_size,
        data_type,
    })
}

/// See [`nf4::quantize_4bit`]; returns `{ codes, absmax, length, blockSize, dataType }`.
#[wasm_bindgen(js_name = quantize4bit)]
pub fn quantize_4bit(values: &[f32], data_type: &str, block_size: usize) -> Result<JsValue, Error> {
    nf4::quantize_4bit(values, &options(data_type, block_size)?).map(|tensor| single_to_js(&tensor))
}

/// See [`nf4::quantize_4bit_into`].
#[wasm_bindgen(js_name = quantize4bitInto)]
pub fn quantize_4bit_into(
    values: &Float32Array,
    data_type: &str,
    block_size: usize,
    codes: &Uint8Array,
    absmax: &Float32Array,
) -> Result<(), Error> {
    let inputs = [values.memory()];
    let (codes, absmax) = (writing(codes, &inputs), writing(absmax, &inputs));
    nf4::blockwise::quantize_tiles(reading(values), &options(data_type, block_size)?, codes, absmax)
}

/// See [`nf4::dequantize_4bit`].
#[wasm_bindgen(js_name = dequantize4bit)]
pub fn dequantize_4bit(tensor: &JsValue) -> Result<Vec<f32>, Error> {
    nf4::dequantize_4bit(&single_from_js(tensor)?)
}

/// See [`nf4::dequantize_4bit_into`].
#[wasm_bindgen(js_name = dequantize4bitInto)]
pub fn dequantize_4bit_into(tensor: &JsValue, out: &Float32Array) -> Result<(), Error> {
    nf4::blockwise::dequantize_tiles(&single_from_js(tensor)?, writing(out, &[]))
}

/// See [`nf4::quantize_4bit_double`].
#[wasm_bindgen(js_name = quantize4bitDouble)]
pub fn quantize_4bit_double(
    values: &[f32],
    data_type: &str,
    block_size: usize,
    offset: Option<f32>,
) -> Result<JsValue, Error> {
    let single = nf4::quantize_4bit(values, &options(data_type, block_size)?)?;
    DoubleQuantized4Bit::from_single(single, offset).map(|tensor| double_to_js(&tensor))
}

/// See [`nf4::dequantize_4bit_double`].
#[wasm_bindgen(js_name = dequantize4bitDouble)]
pub fn dequantize_4bit_double(tensor: &JsValue) -> Result<Vec<f32>, Error> {
    nf4::dequantize_4bit_double(&double_from_js(tensor)?)
}

/// See [`nf4::dequantize_4bit_double_into`].
#[wasm_bindgen(js_name = dequantize4bitDoubleInto)]
pub fn dequantize_4bit_double_into(tensor: &JsValue, out: &Float32Array) -> Result<(), Error> {
    nf4::double_quant::dequantize_tiles(&double_from_js(tensor)?, writing(out, &[]))
}

/// See [`DoubleQuantized4Bit::from_single`].
#[wasm_bindgen(js_name = doubleQuantize)]
pub fn double_quantize(tensor: &JsValue, offset: Option<f32>) -> Result<JsValue, Error> {
    DoubleQuantized4Bit::from_single(single_from_js(tensor)?, offset).map(|tensor| double_to_js(&tensor))
}

/// See [`DoubleQuantized4Bit::to_single`].
#[wasm_bindgen(js_name = singleQuantized)]
pub fn single_quantized(tensor: &JsValue) -> Result<JsValue, Error> {
    double_from_js(tensor)?.to_single().map(|tensor| single_to_js(&tensor))
}

fn size(bytes: usize, ratio: Option<f64>) -> Object {
    Object::new().value("memoryBytes", bytes).value("compressionRatio", ratio)
}

/// `{ memoryBytes, compressionRatio }` of a tensor without double quantization; the ratio is `undefined` for an empty
/// tensor.
#[wasm_bindgen(js_name = size4bit)]
pub fn size_4bit(tensor: &JsValue) -> Result<JsValue, Error> {
    let tensor = single_from_js(tensor)?;
    Ok(size(tensor.memory_bytes(), tensor.compression_ratio().ok()).done())
}

/// `{ memoryBytes, compressionRatio, savings }` of a tensor with double quantization.
#[wasm_bindgen(js_name = size4bitDouble)]
pub fn size_4bit_double(tensor: &JsValue) -> Result<JsValue, Error> {
    let tensor = double_from_js(tensor)?;
    let size = size(tensor.memory_bytes(), tensor.compression_ratio().ok());
    Ok(size.value("savings", tensor.double_quant_savings() as f64).done())
}

/// See [`Quantized4Bit::to_bytes`].
#[wasm_bindgen(js_name = quantized4bitToBytes)]
pub fn quantized_4bit_to_bytes(tensor: &JsValue) -> Result<Vec<u8>, Error> {
    let tensor = single_from_js(tensor)?;
    tensor.check().map(|()| tensor.to_bytes())
}

/// See [`Quantized4Bit::from_bytes`].
#[wasm_bindgen(js_name = quantized4bitFromBytes)]
pub fn quantized_4bit_from_bytes(bytes: &[u8]) -> Result<JsValue, Error> {
    Quantized4Bit::from_bytes(bytes).map(|tensor| single_to_js(&tensor))
}

/// See [`DoubleQuantized4Bit::to_bytes`].
#[wasm_bindgen(js_name = doubleQuantized4bitToBytes)]
pub fn double_quantized_4bit_to_bytes(tensor: &JsValue) -> Result<Vec<u8>, Error> {
    let tensor = double_from_js(tensor)?;
    tensor.check().map(|()| tensor.to_bytes())
}

/// See [`DoubleQuantized4Bit::from_bytes`].
#[wasm_bindgen(js_name = doubleQuantized4bitFromBytes)]
pub fn double_quantized_4bit_from_bytes(bytes: &[u8]) -> Result<JsValue, Error> {
    DoubleQuantized4Bit::from_bytes(bytes).map(|tensor| double_to_js(&tensor))
}

/// See [`Quantized4Bit::to_state_dict`]; `tensor` may have double quantization or not.
#[wasm_bindgen(js_name = toStateDict)]
pub fn to_state_dict(tensor: &JsValue, name: &str, of_shape: &JsValue, dtype: &str) -> Result<Array, Error> {
    let shape = shape(of_shape)?;
    let tensors = if Fields(tensor).get("absmaxCodes").is_undefined() {
        single_from_js(tensor)?.to_state_dict(name, &shape, dtype)?
    } else {
        double_from_js(tensor)?.to_state_dict(name, &shape, dtype)?
    };
    let to_js = |tensor: StateTensor| {
        let object = Object::new().value("name", tensor.name).value("dtype", tensor.dtype.name());
        object.sizes("shape", &tensor.shape).bytes("data", &tensor.data).done()
    };
    Ok(tensors.into_iter().map(to_js).collect())
}

/// See [`nf4::from_state_dict`]; returns `{ tensor, shape, dtype }`.
#[wasm_bindgen(js_name = fromStateDict)]
pub fn from_state_dict(tensors: &Array, name: &str) -> Result<JsValue, Error> {
    let from_js = |value: JsValue| {
        let fields = Fields(&value);
        let dtype = fields.text("dtype")?;
        let known = [StateDtype::U8, StateDtype::F32].into_iter().find(|known| known.name() == dtype);
        let tensor = |dtype| {
            Ok(StateTensor {
                name: fields.text("name")?,
                dtype,
                shape: fields.sizes("shape")?,
                data: fields.bytes("data")?,
            })
        };
        // Other tensors of the file may have any dtype and are ignored.
        known.map(tensor).transpose()
    };
    let tensors = tensors.iter().filter_map(|value| from_js(value).transpose()).collect::<Result<Vec<_>, Error>>()?;
    let loaded = nf4::from_state_dict(&tensors, name)?;
    let tensor = match &loaded.tensor {
        Tensor4Bit::Single(tensor) => single_to_js(tensor),
        Tensor4Bit::Double(tensor) => double_to_js(tensor),
    };
    Ok(Object::new().value("tensor", tensor).sizes("shape", &loaded.shape).value("dtype", loaded.dtype).done())
}

/// The sixteen values of a 4-bit data type.
#[wasm_bindgen(js_name = table4bit)]
pub fn table_4bit(data_type: &str) -> Result<Vec<f32>, Error> {
    Ok(options(data_type, nf4::BLOCK_SIZE)?.data_type.table().to_vec())
}
