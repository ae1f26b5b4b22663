//! JavaScript bindings of `qat/`.

use super::affine::params_to_js;
use super::arrays::{TypedArray as _, fill, reading, writing};
use super::build::Object;
use super::read::{Fields, read, shape};
use crate::affine::{QuantGranularity, QuantMode, QuantRange};
use crate::error::Error;
use crate::qat::learned::{learned_bytes, pact_bytes, pact_parts};
use crate::qat::{self, FakeQuantConfig, LearnedFakeQuantize, Pact, RangeRule};
use crate::validation;
use js_sys::{Float32Array, Float64Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// A [`FakeQuantConfig`] as an object.
#[derive(Serialize, Deserialize)]
struct Config {
    bits: u8,
    mode: QuantMode,
    range: QuantRange,
}

fn config_from_js(value: JsValue) -> Result<FakeQuantConfig, Error> {
    let Config { bits, mode, range } = read("config", value)?;
    Ok(FakeQuantConfig { bits, mode, range })
}

/// `{ config, granularity }`.
fn settings_to_js(config: FakeQuantConfig, granularity: QuantGranularity) -> Result<Object, Error> {
    let FakeQuantConfig { bits, mode, range } = config;
    Object::new().report("config", &Config { bits, mode, range })?.report("granularity", &granularity)
}

/// A [`qat::FakeQuantize`] with its state.
#[wasm_bindgen(js_name = FakeQuantizeState)]
pub struct FakeQuantizeState(qat::FakeQuantize);

#[wasm_bindgen(js_class = FakeQuantizeState)]
impl FakeQuantizeState {
    /// See [`qat::FakeQuantize::with_granularity`]; `momentum` is that of the moving average, or undefined for min-max.
    #[wasm_bindgen(constructor)]
    pub fn new(config: JsValue, granularity: JsValue, momentum: Option<f32>) -> Result<FakeQuantizeState, Error> {
        let rule = momentum.map_or(RangeRule::MinMax, |momentum| RangeRule::MovingAverage { momentum });
        let granularity: QuantGranularity = read("granularity", granularity)?;
        let fake = qat::FakeQuantize::with_granularity(config_from_js(config)?, granularity)?;
        fake.with_observer(rule).map(FakeQuantizeState)
    }

    /// See [`qat::FakeQuantize::calibrate`].
    pub fn calibrate(&mut self, data: &[f32], of_shape: &JsValue) -> Result<(), Error> {
        self.0.calibrate(data, &shape(of_shape)?)
    }

    /// See [`qat::FakeQuantize::observe`].
    pub fn observe(&mut self, data: &[f32], of_shape: &JsValue) -> Result<(), Error> {
        self.0.observe(data, &shape(of_shape)?)
    }

    /// See [`qat::FakeQuantize::set_parameters`].
    #[wasm_bindgen(js_name = setParameters)]
    pub fn set_parameters(&mut self, scales: Vec<f32>, zero_points: Vec<i32>) -> Result<(), Error> {
        self.0.set_parameters(scales, zero_points)
    }

    /// See [`qat::FakeQuantize::forward_into`].
    #[wasm_bindgen(js_name = forwardInto)]
    pub fn forward_into(&self, input: &Float32Array, of_shape: &JsValue, out: &Float32Array) -> Result<(), Error> {
        self.0.forward_tiles(reading(input), &shape(of_shape)?, writing(out, &[input.memory()]))
    }

    /// See [`qat::FakeQuantize::forward_with_calibration_into`].
    #[wasm_bindgen(js_name = forwardWithCalibrationInto)]
    pub fn forward_with_calibration_into(
        &mut self,
        input: &[f32],
        of_shape: &JsValue,
        out: &Float32Array,
    ) -> Result<(), Error> {
        let shape = shape(of_shape)?;
        fill("the output", out, input.len(), |out| self.0.forward_with_calibration_into(input, &shape, out))
    }

    /// See [`qat::FakeQuantize::backward_clamped_into`].
    #[wasm_bindgen(js_name = backwardClampedInto)]
    pub fn backward_clamped_into(
        &self,
        gradient: &Float32Array,
        input: &Float32Array,
        of_shape: &JsValue,
        out: &Float32Array,
    ) -> Result<(), Error> {
        let out = writing(out, &[gradient.memory(), input.memory()]);
        self.0.backward_clamped_tiles(reading(gradient), reading(input), &shape(of_shape)?, out)
    }

    /// See [`qat::FakeQuantize::to_params`].
    #[wasm_bindgen(js_name = toParams)]
    pub fn to_params(&self) -> Result<JsValue, Error> {
        params_to_js(&self.0.to_params()?)
    }

    /// See [`qat::FakeQuantize::scale`].
    #[wasm_bindgen(getter)]
    pub fn scale(&self) -> f32 {
        self.0.scale()
    }

    /// See [`qat::FakeQuantize::zero_point`].
    #[wasm_bindgen(getter, js_name = zeroPoint)]
    pub fn zero_point(&self) -> i32 {
        self.0.zero_point()
    }

    /// See [`qat::FakeQuantize::scales`].
    #[wasm_bindgen(getter)]
    pub fn scales(&self) -> Vec<f32> {
        self.0.scales().to_vec()
    }

    /// See [`qat::FakeQuantize::zero_points`].
    #[wasm_bindgen(getter, js_name = zeroPoints)]
    pub fn zero_points(&self) -> Vec<i32> {
        self.0.zero_points().to_vec()
    }

    /// See [`qat::FakeQuantize::is_initialized`].
    #[wasm_bindgen(getter, js_name = isInitialized)]
    pub fn is_initialized(&self) -> bool {
        self.0.is_initialized()
    }

    /// See [`qat::FakeQuantize::num_levels`].
    #[wasm_bindgen(getter, js_name = numLevels)]
    pub fn num_levels(&self) -> usize {
        self.0.num_levels()
    }

    /// See [`qat::FakeQuantize::enable_observer`].
    #[wasm_bindgen(js_name = enableObserver)]
    pub fn enable_observer(&mut self, on: bool) {
        self.0.enable_observer(on);
    }

    /// See [`qat::FakeQuantize::enable_fake_quant`].
    #[wasm_bindgen(js_name = enableFakeQuant)]
    pub fn enable_fake_quant(&mut self, on: bool) {
        self.0.enable_fake_quant(on);
    }

    /// See [`qat::FakeQuantize::to_bytes`].
    #[wasm_bindgen(js_name = toBytes)]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// See [`qat::FakeQuantize::from_bytes`].
    #[wasm_bindgen(js_name = fromBytes)]
    pub fn from_bytes(bytes: &[u8]) -> Result<FakeQuantizeState, Error> {
        qat::FakeQuantize::from_bytes(bytes).map(FakeQuantizeState)
    }

    /// `{ config, granularity, observing, quantizing }`: the settings saved with the state.
    pub fn settings(&self) -> Result<JsValue, Error> {
        let (observing, quantizing) = self.0.enabled();
        let object = settings_to_js(self.0.config(), self.0.granularity())?;
        Ok(object.value("observing", observing).value("quantizing", quantizing).done())
    }
}

/// See [`qat::fake_quantize_into`].
#[wasm_bindgen(js_name = fakeQuantizeInto)]
pub fn fake_quantize_into(values: &Float32Array, bits: u8, mode: JsValue, out: &Float32Array) -> Result<(), Error> {
    qat::fake_quantize_tiles(reading(values), bits, read("mode", mode)?, writing(out, &[values.memory()]))
}

/// Reads `{ config, granularity, scales, zeroPoints }` as a [`LearnedFakeQuantize`].
fn learned_from_js(value: &JsValue) -> Result<LearnedFakeQuantize, Error> {
    let fields = Fields(value);
    let granularity: QuantGranularity = fields.read("granularity")?;
    let config = config_from_js(fields.get("config"))?;
    LearnedFakeQuantize::with_parameters(config, granularity, fields.floats("scales")?, fields.floats("zeroPoints")?)
}

fn with_steps(object: Object, learned: &LearnedFakeQuantize) -> JsValue {
    object.floats("scales", &learned.scales).floats("zeroPoints", &learned.zero_points).done()
}

fn steps_to_js(learned: &LearnedFakeQuantize) -> JsValue {
    with_steps(Object::new(), learned)
}

/// See [`LearnedFakeQuantize::new`]; returns `{ scales, zeroPoints }`.
#[wasm_bindgen(js_name = learnedSteps)]
pub fn learned_steps(
    config: JsValue,
    granularity: JsValue,
    values: &[f32],
    of_shape: &JsValue,
) -> Result<JsValue, Error> {
    let granularity: QuantGranularity = read("granularity", granularity)?;
    let learned = LearnedFakeQuantize::new(config_from_js(config)?, granularity, values, &shape(of_shape)?)?;
    Ok(steps_to_js(&learned))
}

/// See [`LearnedFakeQuantize::forward_into`].
#[wasm_bindgen(js_name = learnedForwardInto)]
pub fn learned_forward_into(
    learned: &JsValue,
    input: &[f32],
    of_shape: &JsValue,
    out: &Float32Array,
) -> Result<(), Error> {
    let (learned, shape) = (learned_from_js(learned)?, shape(of_shape)?);
    fill("the output", out, input.len(), |out| learned.forward_into(input, &shape, out))
}

/// See [`LearnedFakeQuantize::backward`]; `out` is `{ input, scales, zeroPoints }`.
#[wasm_bindgen(js_name = learnedBackwardInto)]
pub fn learned_backward_into(
    learned: &JsValue,
    gradient: &[f32],
    input: &[f32],
    of_shape: &JsValue,
    out: &JsValue,
) -> Result<(), Error> {
    let (learned, fields) = (learned_from_js(learned)?, Fields(out));
    let of_input = fields.typed::<Float32Array>("input", "a Float32Array")?;
    let of_scales = fields.typed::<Float64Array>("scales", "a Float64Array")?;
    let of_zero_points = fields.typed::<Float64Array>("zeroPoints", "a Float64Array")?;
    // All lengths are checked before anything is written.
    validation::length("the gradient of the input", of_input.len(), input.len())?;
    validation::length("the gradient of the scales", of_scales.len(), learned.scales.len())?;
    validation::length("the gradient of the zero points", of_zero_points.len(), learned.scales.len())?;
    let gradients = learned.backward(gradient, input, &shape(of_shape)?)?;
    of_input.copy_from(&gradients.input);
    of_scales.copy_from(&gradients.scales);
    of_zero_points.copy_from(&gradients.zero_points);
    Ok(())
}

/// See [`LearnedFakeQuantize::clamp_parameters`]; returns `{ scales, zeroPoints }`.
#[wasm_bindgen(js_name = learnedClamp)]
pub fn learned_clamp(config: JsValue, scales: Vec<f32>, zero_points: Vec<f32>) -> Result<JsValue, Error> {
    let config = config_from_js(config)?;
    Ok(steps_to_js(&LearnedFakeQuantize::clamped(config, scales, zero_points)?))
}

/// See [`LearnedFakeQuantize::to_params`].
#[wasm_bindgen(js_name = learnedParams)]
pub fn learned_params(learned: &JsValue) -> Result<JsValue, Error> {
    params_to_js(&learned_from_js(learned)?.to_params()?)
}

/// See [`LearnedFakeQuantize::to_bytes`].
#[wasm_bindgen(js_name = learnedToBytes)]
pub fn learned_to_bytes(learned: &JsValue) -> Result<Vec<u8>, Error> {
    let fields = Fields(learned);
    let granularity: QuantGranularity = fields.read("granularity")?;
    let (config, scales) = (config_from_js(fields.get("config"))?, fields.floats("scales")?);
    Ok(learned_bytes(config, granularity, &scales, &fields.floats("zeroPoints")?))
}

/// See [`LearnedFakeQuantize::from_bytes`]; returns `{ config, granularity, scales, zeroPoints }`.
#[wasm_bindgen(js_name = learnedFromBytes)]
pub fn learned_from_bytes(bytes: &[u8]) -> Result<JsValue, Error> {
    let learned = LearnedFakeQuantize::from_bytes(bytes)?;
    Ok(with_steps(settings_to_js(learned.config(), learned.granularity())?, &learned))
}

/// See [`Pact::to_bytes`].
#[wasm_bindgen(js_name = pactToBytes)]
pub fn pact_to_bytes(alpha: f64, bits: u8, decay: f64) -> Vec<u8> {
    pact_bytes(alpha, bits, decay)
}

/// See [`Pact::from_bytes`]; returns `[alpha, bits, decay]`.
#[wasm_bindgen(js_name = pactFromBytes)]
pub fn pact_from_bytes(bytes: &[u8]) -> Result<Vec<f64>, Error> {
    let (alpha, bits, decay) = pact_parts(bytes)?;
    Ok(vec![alpha, f64::from(bits), decay])
}

/// See [`Pact::forward_into`].
#[wasm_bindgen(js_name = pactForwardInto)]
pub fn pact_forward_into(input: &[f32], alpha: f32, bits: u8, out: &Float32Array) -> Result<(), Error> {
    let pact = Pact::new(alpha, bits, 0.0)?;
    fill("the output", out, input.len(), |out| pact.forward_into(input, out))
}

/// See [`Pact::backward_into`]; returns the gradient of the level.
#[wasm_bindgen(js_name = pactBackwardInto)]
pub fn pact_backward_into(
    gradient: &[f32],
    input: &[f32],
    alpha: f32,
    bits: u8,
    decay: f32,
    out: &Float32Array,
) -> Result<f64, Error> {
    let (pact, mut level) = (Pact::new(alpha, bits, decay)?, 0.0);
    fill("the output", out, input.len(), |out| {
        level = pact.backward_into(gradient, input, out)?;
        Ok(())
    })?;
    Ok(level)
}
