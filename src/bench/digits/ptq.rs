//! Post-training quantization: ranges from a calibrator, real codes, no further training.

use super::data::Digits;
use super::mlp::{Hooks, Mlp};
use crate::affine::{QuantMode, QuantParams, QuantScheme, dequantize_with_params_into, quantize_with_params_into};
use crate::calibrate::{CalibrationMethod, Calibrator, CalibratorOptions};
use crate::error::Result;

/// The quantizers of the weights and inputs of both layers.
pub struct Ptq {
    weights: [QuantParams; 2],
    inputs: [QuantParams; 2],
    codes: Vec<u8>,
}

impl Ptq {
    /// Calibrates on the weights, and on the layer inputs computed from the training images.
    pub fn calibrate(model: &Mlp, train: &Digits, bits: u8, method: CalibrationMethod) -> Result<Self> {
        let find = |values: &[f32], mode| -> Result<QuantParams> {
            let options = CalibratorOptions::new(QuantScheme::new(bits, mode)?);
            let mut calibrator = Calibrator::new(method, options)?;
            // In batches, as in inference; a moving average needs several.
            for batch in values.chunks(values.len().div_ceil(16).max(1)) {
                calibrator.observe(batch)?;
            }
            Ok(calibrator.compute()?.params())
        };
        Ok(Ptq {
            weights: [
                find(&model.first.weights, QuantMode::Symmetric)?,
                find(&model.second.weights, QuantMode::Symmetric)?,
            ],
            inputs: [find(train.images(), QuantMode::Asymmetric)?, find(&model.hidden(train), QuantMode::Asymmetric)?],
            codes: Vec::new(),
        })
    }

    /// Quantizes and dequantizes the values. The lengths match by construction; if not, values would stay unquantized
    /// and the accuracy would show it.
    fn round_trip(codes: &mut Vec<u8>, params: &QuantParams, values: &mut [f32]) {
        codes.resize(values.len(), 0);
        let shape = [values.len()];
        if quantize_with_params_into(values, &shape, params, codes).is_ok() {
            let _ = dequantize_with_params_into(codes, &shape, params, values);
        }
    }
}

impl Hooks for Ptq {
    fn weights(&mut self, model: &Mlp) -> [Vec<f32>; 2] {
        let mut used = [model.first.weights.clone(), model.second.weights.clone()];
        for (weights, params) in used.iter_mut().zip(&self.weights) {
            Self::round_trip(&mut self.codes, params, weights);
        }
        used
    }
    fn activations(&mut self, layer: usize, x: &mut [f32]) {
        Self::round_trip(&mut self.codes, &self.inputs[layer], x);
    }
    // PTQ has no training.
    fn activations_backward(&mut self, _: usize, _: &[f32], _: &mut [f32]) {}
    fn weights_backward(&mut self, _: &Mlp, _: &mut Mlp) {}
    fn step(&mut self, _: f32) {}
}
