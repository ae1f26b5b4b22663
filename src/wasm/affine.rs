//! JavaScript bindings of `affine/`.

use super::fields::{Fields, bytes, counts, floats, from_js, integers, object};
use super::tiles::{Array as _, Input, Output, fill, for_each_tile, map_tiles, tiles};
use crate::affine::{
    self, GroupRanges, Prepared, QuantGranularity, QuantMode, QuantParams, QuantRange, QuantScheme, QuantizedTensor,
    SymmetricRule,
};
use crate::error::{Code, Error};
use crate::validation;
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
            None => from_js("range", range)?,
            Some("signed") => QuantRange::signed(self.bits)?,
            Some("narrow") => QuantRange::narrow(self.bits)?,
            Some("unsigned") => QuantRange::unsigned(self.bits)?,
            Some(name) => {
                let message = format!("range: '{name}' must be signed, narrow or unsigned");
                return Err(Error::new(Code::ARGUMENT, message).with("argument", "range"));
            }
        };
        scheme.with_range(range)
    }
}

/// Reads the options of a scheme, and the scheme.
fn scheme_from_js(options: JsValue) -> Result<(SchemeOptions, QuantScheme), Error> {
    let range = Fields(&options).get("range");
    let options: SchemeOptions = from_js("options", options)?;
    let scheme = options.scheme(range)?;
    Ok((options, scheme))
}

fn to_js<T: Serialize>(value: &T) -> JsValue {
    // Enums, numbers and strings can always be converted.
    serde_wasm_bindgen::to_value(value).unwrap_or(JsValue::UNDEFINED)
}

pub(super) fn shape_from_js(shape: &JsValue) -> Result<Vec<usize>, Error> {
    Fields(&object(&[("shape", shape.clone())])).counts("shape")
}

pub(super) fn params_to_js(params: &QuantParams) -> JsValue {
    object(&[
        ("scales", floats(&params.scales)),
        ("zeroPoints", integers(&params.zero_points)),
        ("granularity", to_js(&params.granularity)),
        ("mode", to_js(&params.mode)),
        ("bits", params.bits.into()),
        ("range", to_js(&params.range)),
    ])
}

pub(super) fn params_from_js(value: &JsValue) -> Result<QuantParams, Error> {
    let fields = Fields(value);
    Ok(QuantParams {
        scales: fields.floats("scales")?,
        zero_points: fields.integers("zeroPoints")?,
        granularity: from_js("granularity", fields.get("granularity"))?,
        mode: from_js("mode", fields.get("mode"))?,
        bits: from_js("bits", fields.get("bits"))?,
        range: from_js("range", fields.get("range"))?,
    })
}

fn tensor_to_js(tensor: &QuantizedTensor) -> JsValue {
    object(&[("data", bytes(&tensor.data)), ("params", params_to_js(&tensor.params)), ("shape", counts(&tensor.shape))])
}

fn tensor_from_js(value: &JsValue) -> Result<QuantizedTensor, Error> {
    let fields = Fields(value);
    let (data, params) = (fields.bytes("data")?, params_from_js(&fields.get("params"))?);
    Ok(QuantizedTensor { data, params, shape: fields.counts("shape")? })
}

/// See [`affine::calibrate`]; `options` has bits, mode, granularity, range and rule.
#[wasm_bindgen(js_name = calibrateTensor)]
pub fn calibrate_tensor(values: &Float32Array, shape: &JsValue, options: JsValue) -> Result<JsValue, Error> {
    let (options, scheme) = scheme_from_js(options)?;
    let shape = shape_from_js(shape)?;
    validation::shape("the tensor", values.len(), &shape)?;
    let mut ranges = GroupRanges::new(options.granularity.layout(&shape)?);
    for_each_tile(values, |values| ranges.add(values))?;
    Ok(params_to_js(&ranges.params(options.granularity, &scheme)?))
}

/// See [`affine::QuantScheme::parameters`]; returns `[scale, zeroPoint]`.
#[wasm_bindgen(js_name = rangeParameters)]
pub fn range_parameters(low: f32, high: f32, options: JsValue) -> Result<Vec<f64>, Error> {
    let (scale, zero_point) = scheme_from_js(options)?.1.parameters(low, high)?;
    Ok(vec![scale.into(), zero_point.into()])
}

/// See [`affine::quantize_with_params`].
#[wasm_bindgen(js_name = quantizeWithParams)]
pub fn quantize_with_params(values: &[f32], shape: &JsValue, params: &JsValue) -> Result<Vec<u8>, Error> {
    affine::quantize_with_params(values, &shape_from_js(shape)?, &params_from_js(params)?)
}

/// See [`affine::quantize_with_params_into`].
#[wasm_bindgen(js_name = quantizeWithParamsInto)]
pub fn quantize_with_params_into(
    values: &Float32Array,
    shape: &JsValue,
    params: &JsValue,
    out: &Uint8Array,
) -> Result<(), Error> {
    let (params, shape) = (params_from_js(params)?, shape_from_js(shape)?);
    let prepared = Prepared::new(&params, &shape, values.len())?;
    let out = Output::new("the output of codes", out, values.len())?;
    map_tiles(values, out, |start, values, codes| prepared.quantize(values, start, codes))
}

/// See [`affine::dequantize_with_params`].
#[wasm_bindgen(js_name = dequantizeWithParams)]
pub fn dequantize_with_params(codes: &[u8], shape: &JsValue, params: &JsValue) -> Result<Vec<f32>, Error> {
    affine::dequantize_with_params(codes, &shape_from_js(shape)?, &params_from_js(params)?)
}

/// See [`affine::dequantize_with_params_into`].
#[wasm_bindgen(js_name = dequantizeWithParamsInto)]
pub fn dequantize_with_params_into(
    codes: &Uint8Array,
    shape: &JsValue,
    params: &JsValue,
    out: &Float32Array,
) -> Result<(), Error> {
    let (params, shape) = (params_from_js(params)?, shape_from_js(shape)?);
    let prepared = Prepared::new(&params, &shape, codes.len())?;
    let out = Output::new("the output of values", out, codes.len())?;
    map_tiles(codes, out, |start, codes, out| prepared.dequantize(codes, start, out))
}

/// See [`affine::quantize_tensor_with`].
#[wasm_bindgen(js_name = quantizeTensor)]
pub fn quantize_tensor(values: &[f32], shape: &JsValue, options: JsValue) -> Result<JsValue, Error> {
    let (options, scheme) = scheme_from_js(options)?;
    let shape = shape_from_js(shape)?;
    let tensor = affine::quantize_tensor_with(values, &shape, options.granularity, &scheme)?;
    Ok(tensor_to_js(&tensor))
}

/// See [`affine::quantize_packed_into`].
#[wasm_bindgen(js_name = quantizePackedInto)]
pub fn quantize_packed_into(
    values: &Float32Array,
    shape: &JsValue,
    params: &JsValue,
    out: &Uint8Array,
) -> Result<(), Error> {
    let (params, shape) = (params_from_js(params)?, shape_from_js(shape)?);
    let prepared = Prepared::new(&params, &shape, values.len())?;
    let packed = |count| affine::packed_len(count, params.bits);
    let mut out = Output::new("the packed output", out, packed(values.len()))?;
    let (apart, mut input) = (out.is_apart(values), Input::new(values));
    for range in tiles(values.len(), apart) {
        let values = input.read(range.clone());
        out.write(packed(range.start)..packed(range.end), |out| prepared.pack(values, range.start, out))?;
    }
    Ok(())
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
    let shape = fields.counts("shape")?;
    let len = validation::elements(&shape)?;
    let prepared = Prepared::new(&params, &shape, len)?;
    let packed = |count| affine::packed_len(count, params.bits);
    validation::length("the packed data", data.len(), packed(len))?;
    let mut out = Output::new("the output of values", out, len)?;
    let (apart, mut input) = (out.is_apart(&data), Input::new(&data));
    for range in tiles(len, apart) {
        let codes = input.read(packed(range.start)..packed(range.end));
        out.write(range.clone(), |out| prepared.unpack(codes, range.start, out))?;
    }
    Ok(())
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
    shape: &JsValue,
    bits: u8,
    mode: JsValue,
    granularities: JsValue,
) -> Result<JsValue, Error> {
    let granularities: Vec<QuantGranularity> = from_js("granularities", granularities)?;
    let shape = shape_from_js(shape)?;
    let errors = affine::compare_granularities(values, &shape, bits, from_js("mode", mode)?, &granularities)?;
    let report =
        |e: affine::GranularityError| Report { granularity: e.granularity, mse: e.mse, memory_bytes: e.memory_bytes };
    Ok(to_js(&errors.into_iter().map(report).collect::<Vec<_>>()))
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
pub fn params_to_bytes(params: &JsValue) -> Result<Vec<u8>, Error> {
    let params = params_from_js(params)?;
    params.check().map(|()| params.to_bytes())
}

/// See [`QuantParams::from_bytes`].
#[wasm_bindgen(js_name = paramsFromBytes)]
pub fn params_from_bytes(bytes: &[u8]) -> Result<JsValue, Error> {
    QuantParams::from_bytes(bytes).map(|params| params_to_js(&params))
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
    QuantizedTensor::from_bytes(bytes).map(|tensor| tensor_to_js(&tensor))
}
