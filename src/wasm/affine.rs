//! JavaScript bindings of `affine/`.

use super::arrays::{TypedArray as _, fill, reading, writing};
use super::build::{Object, report};
use super::read::{Fields, read, shape, wrong};
use crate::affine::{
    self, QuantGranularity, QuantMode, QuantParams, QuantRange, QuantScheme, QuantizedTensor, SymmetricRule,
};
use crate::error::Error;
use js_sys::{Float32Array, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// The options object of a [`QuantScheme`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemeOptions {
    bits: u8,
    #[serde(default)]
    mode: QuantMode,
    #[serde(default)]
    granularity: QuantGranularity,
    #[serde(default)]
    rule: SymmetricRule,
}

impl SchemeOptions {
    /// Builds the scheme; `range` is the options' field of that name, either a name or an object with both ends.
    fn scheme(&self, range: JsValue) -> Result<QuantScheme, Error> {
        let scheme = QuantScheme::new(self.bits, self.mode)?.with_rule(self.rule);
        if range.is_undefined() || range.is_null() {
            return Ok(scheme);
        }
        let range = match range.as_string().as_deref() {
            None => read("range", range)?,
            Some("signed") => QuantRange::signed(self.bits)?,
            Some("narrow") => QuantRange::narrow(self.bits)?,
            Some("unsigned") => QuantRange::unsigned(self.bits)?,
            Some(_) => return Err(wrong("range", "'signed', 'narrow' or 'unsigned'")),
        };
        scheme.with_range(range)
    }
}

/// Reads the options of a scheme, and the scheme.
fn scheme_from_js(options: JsValue) -> Result<(SchemeOptions, QuantScheme), Error> {
    let range = Fields(&options).get("range");
    let options: SchemeOptions = read("options", options)?;
    let scheme = options.scheme(range)?;
    Ok((options, scheme))
}

pub(super) fn params_to_js(params: &QuantParams) -> Result<JsValue, Error> {
    let object = Object::new().floats("scales", &params.scales).integers("zeroPoints", &params.zero_points);
    let object = object.report("granularity", &params.granularity)?.report("mode", &params.mode)?;
    Ok(object.value("bits", params.bits).report("range", &params.range)?.done())
}

pub(super) fn params_from_js(value: &JsValue) -> Result<QuantParams, Error> {
    let fields = Fields(value);
    Ok(QuantParams {
        scales: fields.floats("scales")?,
        zero_points: fields.integers("zeroPoints")?,
        granularity: fields.read("granularity")?,
        mode: fields.read("mode")?,
        bits: fields.read("bits")?,
        range: fields.read("range")?,
    })
}

fn tensor_to_js(tensor: &QuantizedTensor) -> Result<JsValue, Error> {
    let object = Object::new().bytes("data", &tensor.data).value("params", params_to_js(&tensor.params)?);
    Ok(object.sizes("shape", &tensor.shape).done())
}

fn tensor_from_js(value: &JsValue) -> Result<QuantizedTensor, Error> {
    let fields = Fields(value);
    let (data, params) = (fields.bytes("data")?, params_from_js(&fields.get("params"))?);
    Ok(QuantizedTensor { data, params, shape: fields.sizes("shape")? })
}

/// See [`affine::calibrate`]; `options` has bits, mode, granularity, range and rule.
#[wasm_bindgen(js_name = calibrateTensor)]
pub fn calibrate_tensor(values: &Float32Array, of_shape: &JsValue, options: JsValue) -> Result<JsValue, Error> {
    let (options, scheme) = scheme_from_js(options)?;
    let granularity = options.granularity;
    let params = affine::calibrate::calibrate_tiles(reading(values), &shape(of_shape)?, granularity, &scheme)?;
    params_to_js(&params)
}

/// See [`affine::quantize_with_params`].
#[wasm_bindgen(js_name = quantizeWithParams)]
pub fn quantize_with_params(values: &[f32], of_shape: &JsValue, of_params: &JsValue) -> Result<Vec<u8>, Error> {
    affine::quantize_with_params(values, &shape(of_shape)?, &params_from_js(of_params)?)
}

/// See [`affine::quantize_with_params_into`].
#[wasm_bindgen(js_name = quantizeWithParamsInto)]
pub fn quantize_with_params_into(
    values: &Float32Array,
    of_shape: &JsValue,
    of_params: &JsValue,
    out: &Uint8Array,
) -> Result<(), Error> {
    let (params, shape) = (params_from_js(of_params)?, shape(of_shape)?);
    let out = writing(out, &[values.memory()]);
    affine::quantize::quantize_tiles(reading(values), &shape, &params, out)
}

/// See [`affine::dequantize_with_params`].
#[wasm_bindgen(js_name = dequantizeWithParams)]
pub fn dequantize_with_params(codes: &[u8], of_shape: &JsValue, of_params: &JsValue) -> Result<Vec<f32>, Error> {
    affine::dequantize_with_params(codes, &shape(of_shape)?, &params_from_js(of_params)?)
}

/// See [`affine::dequantize_with_params_into`].
#[wasm_bindgen(js_name = dequantizeWithParamsInto)]
pub fn dequantize_with_params_into(
    codes: &Uint8Array,
    of_shape: &JsValue,
    of_params: &JsValue,
    out: &Float32Array,
) -> Result<(), Error> {
    let (params, shape) = (params_from_js(of_params)?, shape(of_shape)?);
    let out = writing(out, &[codes.memory()]);
    affine::quantize::dequantize_tiles(reading(codes), &shape, &params, out)
}

/// See [`affine::quantize_tensor_with`].
#[wasm_bindgen(js_name = quantizeTensor)]
pub fn quantize_tensor(values: &[f32], of_shape: &JsValue, options: JsValue) -> Result<JsValue, Error> {
    let (options, scheme) = scheme_from_js(options)?;
    let tensor = affine::quantize_tensor_with(values, &shape(of_shape)?, options.granularity, &scheme)?;
    tensor_to_js(&tensor)
}

/// See [`affine::quantize_packed_into`].
#[wasm_bindgen(js_name = quantizePackedInto)]
pub fn quantize_packed_into(
    values: &Float32Array,
    of_shape: &JsValue,
    of_params: &JsValue,
    out: &Uint8Array,
) -> Result<(), Error> {
    let (params, shape) = (params_from_js(of_params)?, shape(of_shape)?);
    let out = writing(out, &[values.memory()]);
    affine::quantize::pack_tiles(reading(values), &shape, &params, out)
}

/// See [`affine::dequantize_tensor`].
#[wasm_bindgen(js_name = dequantizeTensor)]
pub fn dequantize_tensor(tensor: &JsValue) -> Result<Vec<f32>, Error> {
    affine::dequantize_tensor(&tensor_from_js(tensor)?)
}

/// See [`affine::dequantize_tensor_into`].
#[wasm_bindgen(js_name = dequantizeTensorInto)]
pub fn dequantize_tensor_into(tensor: &JsValue, out: &Float32Array) -> Result<(), Error> {
    let fields = Fields(tensor);
    let (data, params) = (fields.typed::<Uint8Array>("data", "a Uint8Array")?, params_from_js(&fields.get("params"))?);
    let out = writing(out, &[data.memory()]);
    affine::quantize::unpack_tiles(reading(&data), &fields.sizes("shape")?, &params, out)
}

/// See [`affine::quantization_mse`].
#[wasm_bindgen(js_name = quantizationMse)]
pub fn quantization_mse(original: &[f32], decoded: &[f32]) -> Result<f64, Error> {
    affine::quantization_mse(original, decoded)
}

/// A [`affine::GranularityError`] as an object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    granularity: QuantGranularity,
    mse: f64,
    memory_bytes: usize,
}

/// See [`affine::compare_granularities`]; returns `[{ granularity, mse, memoryBytes }]`.
#[wasm_bindgen(js_name = compareGranularities)]
pub fn compare_granularities(
    values: &[f32],
    of_shape: &JsValue,
    bits: u8,
    mode: JsValue,
    granularities: JsValue,
) -> Result<JsValue, Error> {
    let granularities: Vec<QuantGranularity> = read("granularities", granularities)?;
    let errors = affine::compare_granularities(values, &shape(of_shape)?, bits, read("mode", mode)?, &granularities)?;
    let row =
        |e: affine::GranularityError| Report { granularity: e.granularity, mse: e.mse, memory_bytes: e.memory_bytes };
    report(&errors.into_iter().map(row).collect::<Vec<_>>())
}

/// See [`affine::pack_codes_into`]; if `signed`, the codes must fit as signed integers.
#[wasm_bindgen(js_name = packCodesInto)]
pub fn pack_codes_into(codes: &[u8], bits: u8, signed: bool, out: &Uint8Array) -> Result<(), Error> {
    affine::check_width(codes, bits, signed.then_some(true))?;
    let len = affine::packed_len(codes.len(), bits);
    fill("the packed output", out, len, |out| affine::pack_codes_into(codes, bits, out))
}

/// See [`affine::unpack_codes`].
#[wasm_bindgen(js_name = unpackCodes)]
pub fn unpack_codes(packed: &[u8], bits: u8, signed: bool, count: usize) -> Result<Vec<u8>, Error> {
    affine::unpack_codes(packed, bits, signed, count)
}

/// See [`affine::unpack_codes_into`].
#[wasm_bindgen(js_name = unpackCodesInto)]
pub fn unpack_codes_into(packed: &[u8], bits: u8, signed: bool, out: &Uint8Array) -> Result<(), Error> {
    fill("the output", out, out.len(), |out| affine::unpack_codes_into(packed, bits, signed, out))
}

/// See [`QuantParams::to_bytes`].
#[wasm_bindgen(js_name = paramsToBytes)]
pub fn params_to_bytes(of_params: &JsValue) -> Result<Vec<u8>, Error> {
    let params = params_from_js(of_params)?;
    params.check().map(|()| params.to_bytes())
}

/// See [`QuantParams::from_bytes`].
#[wasm_bindgen(js_name = paramsFromBytes)]
pub fn params_from_bytes(bytes: &[u8]) -> Result<JsValue, Error> {
    params_to_js(&QuantParams::from_bytes(bytes)?)
}

/// See [`QuantizedTensor::to_bytes`].
#[wasm_bindgen(js_name = quantizedTensorToBytes)]
pub fn quantized_tensor_to_bytes(tensor: &JsValue) -> Result<Vec<u8>, Error> {
    let tensor = tensor_from_js(tensor)?;
    tensor.check().map(|_| tensor.to_bytes())
}

/// See [`QuantizedTensor::from_bytes`].
#[wasm_bindgen(js_name = quantizedTensorFromBytes)]
pub fn quantized_tensor_from_bytes(bytes: &[u8]) -> Result<JsValue, Error> {
    tensor_to_js(&QuantizedTensor::from_bytes(bytes)?)
}
