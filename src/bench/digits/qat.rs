//! Quantization-aware training: fake quantization with learned step sizes (LSQ, [`LearnedFakeQuantize`]).

use super::data::Digits;
use super::mlp::{Adam, Hooks, Mlp};
use crate::affine::QuantGranularity;
use crate::error::Result;
use crate::qat::{FakeQuantConfig, LearnedFakeQuantize, LearnedGradients};

/// A fake quantizer of one tensor, the accumulated gradient of its scale, and its optimizer.
struct Learned {
    quantizer: LearnedFakeQuantize,
    gradients: LearnedGradients,
    sum: f32,
    adam: Adam,
}

impl Learned {
    /// LSQ's initial scale, `2 mean|x| / sqrt(qmax)`, also for activations: their minimum is 0, so the zero point is 0.
    fn new(config: FakeQuantConfig, values: &[f32]) -> Result<Self> {
        let mean = values.iter().map(|x| f64::from(x.abs())).sum::<f64>() / values.len().max(1) as f64;
        let scale = ((2.0 * mean / f64::from(config.range.qmax).sqrt()) as f32).max(f32::MIN_POSITIVE);
        let granularity = QuantGranularity::PerTensor;
        let quantizer = LearnedFakeQuantize::with_parameters(config, granularity, vec![scale], vec![0.0])?;
        let gradients = LearnedGradients { input: Vec::new(), scales: vec![0.0], zero_points: vec![0.0] };
        Ok(Learned { quantizer, gradients, sum: 0.0, adam: Adam::new(1) })
    }

    fn forward(&self, input: &[f32], out: &mut [f32]) {
        // The lengths match; if training diverges, the accuracy shows it.
        let _ = self.quantizer.forward_into(input, &[input.len()], out);
    }

    /// Converts the gradient of the output to that of the input, and accumulates that of the scale.
    fn backward(&mut self, input: &[f32], gradient: &mut [f32]) {
        self.gradients.input.resize(input.len(), 0.0);
        if self.quantizer.backward_into(gradient, input, &[input.len()], &mut self.gradients).is_ok() {
            gradient.copy_from_slice(&self.gradients.input);
            self.sum += self.gradients.scales[0] as f32;
        }
    }

    /// Updates the scale relative to its size, with the learning rate of the weights, so it stays positive whatever its
    /// unit.
    fn step(&mut self, rate: f32) {
        let scales = &mut self.quantizer.scales;
        self.adam.direction(&[self.sum], |i, direction| scales[i] *= 1.0 - rate * direction);
        self.quantizer.clamp_parameters();
        self.sum = 0.0;
    }
}

/// The fake quantizers of the weights and inputs of both layers.
pub struct Qat {
    weights: [Learned; 2],
    inputs: [Learned; 2],
    before: Vec<f32>,
}

impl Qat {
    /// Initial scales from the trained weights, and from the layer inputs computed from the training images.
    pub fn new(model: &Mlp, train: &Digits, bits: u8) -> Result<Self> {
        let (signed, unsigned) = (FakeQuantConfig::symmetric(bits)?, FakeQuantConfig::asymmetric(bits)?);
        Ok(Qat {
            weights: [Learned::new(signed, &model.first.weights)?, Learned::new(signed, &model.second.weights)?],
            inputs: [Learned::new(unsigned, train.images())?, Learned::new(unsigned, &model.hidden(train))?],
            before: Vec::new(),
        })
    }
}

impl Hooks for Qat {
    fn weights(&mut self, model: &Mlp) -> [Vec<f32>; 2] {
        let layers = [&model.first.weights, &model.second.weights];
        let mut used = layers.map(|weights| vec![0.0; weights.len()]);
        for ((learned, weights), used) in self.weights.iter().zip(layers).zip(&mut used) {
            learned.forward(weights, used);
        }
        used
    }
    fn activations(&mut self, layer: usize, x: &mut [f32]) {
        self.before.clear();
        self.before.extend_from_slice(x);
        self.inputs[layer].forward(&self.before, x);
    }
    fn activations_backward(&mut self, layer: usize, x: &[f32], dx: &mut [f32]) {
        self.inputs[layer].backward(x, dx);
    }
    fn weights_backward(&mut self, model: &Mlp, gradient: &mut Mlp) {
        self.weights[0].backward(&model.first.weights, &mut gradient.first.weights);
        self.weights[1].backward(&model.second.weights, &mut gradient.second.weights);
    }
    fn step(&mut self, rate: f32) {
        self.weights.iter_mut().chain(&mut self.inputs).for_each(|learned| learned.step(rate));
    }
}
