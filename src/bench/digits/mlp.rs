//! The multilayer perceptron and its training: two layers with a ReLU between them, softmax cross-entropy, Adam.
//!
//! Every sum is over one index in ascending order. The innermost loops run over outputs, which vectorises without
//! changing the order.

use super::super::generators::Random;
use super::data::{CLASSES, Digits, PIXELS};

/// A layer `y = x W + b`, with `W` row-major by input.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// `inputs x outputs`.
    pub weights: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
}

impl Linear {
    fn new(inputs: usize, outputs: usize, random: &mut Random) -> Self {
        // He initialization, which preserves the variance through a ReLU.
        let deviation = (2.0 / inputs as f32).sqrt();
        let weights = (0..inputs * outputs).map(|_| deviation * random.normal()).collect();
        Linear { weights, bias: vec![0.0; outputs] }
    }

    fn zeros_like(other: &Linear) -> Self {
        Linear { weights: vec![0.0; other.weights.len()], bias: vec![0.0; other.bias.len()] }
    }

    /// Computes one row of outputs from one row of inputs, with the given weights in place of the layer's own.
    pub fn forward(&self, weights: &[f32], x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(&self.bias);
        for (&x, row) in x.iter().zip(weights.chunks_exact(y.len())) {
            for (y, &w) in y.iter_mut().zip(row) {
                *y += x * w;
            }
        }
    }

    /// Adds the gradient of one example.
    pub fn accumulate(&mut self, x: &[f32], dy: &[f32]) {
        for (&x, row) in x.iter().zip(self.weights.chunks_exact_mut(dy.len())) {
            for (w, &dy) in row.iter_mut().zip(dy) {
                *w += x * dy;
            }
        }
        for (b, &dy) in self.bias.iter_mut().zip(dy) {
            *b += dy;
        }
    }

    fn clear(&mut self) {
        self.weights.fill(0.0);
        self.bias.fill(0.0);
    }
}

/// The classifier: 64 inputs, a hidden layer, 10 outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Pixels to hidden units.
    pub first: Linear,
    /// Hidden units to digits.
    pub second: Linear,
}

/// Hooks that may change weights and activations during a forward pass, for example quantize them.
pub trait Hooks {
    /// The effective weights of both layers, computed once per batch.
    fn weights(&mut self, model: &Mlp) -> [Vec<f32>; 2];
    /// Changes the inputs of layer `layer` in place.
    fn activations(&mut self, layer: usize, x: &mut [f32]);
    /// Converts `dx`, the gradient of the activations of layer `layer` after [`activations`](Self::activations), to the
    /// gradient before it; `x` holds the activations before.
    fn activations_backward(&mut self, layer: usize, x: &[f32], dx: &mut [f32]);
    /// Converts the gradient of the effective weights to that of the weights.
    fn weights_backward(&mut self, model: &Mlp, gradient: &mut Mlp);
    /// Updates the parameters that the hooks learn, with the learning rate of the weights.
    fn step(&mut self, rate: f32);
}

/// No quantization.
pub struct Plain;

impl Hooks for Plain {
    fn weights(&mut self, model: &Mlp) -> [Vec<f32>; 2] {
        [model.first.weights.clone(), model.second.weights.clone()]
    }
    fn activations(&mut self, _: usize, _: &mut [f32]) {}
    fn activations_backward(&mut self, _: usize, _: &[f32], _: &mut [f32]) {}
    fn weights_backward(&mut self, _: &Mlp, _: &mut Mlp) {}
    fn step(&mut self, _: f32) {}
}

impl Mlp {
    /// Creates a model with random weights.
    pub fn new(hidden: usize, random: &mut Random) -> Self {
        Mlp { first: Linear::new(PIXELS, hidden, random), second: Linear::new(hidden, CLASSES, random) }
    }

    /// The number of weights and biases.
    pub fn parameters(&self) -> usize {
        [&self.first, &self.second].iter().map(|layer| layer.weights.len() + layer.bias.len()).sum()
    }

    /// The fraction of images whose largest output is their label.
    pub fn accuracy(&self, data: &Digits, hooks: &mut dyn Hooks) -> f64 {
        let weights = hooks.weights(self);
        let (mut hidden, mut out) = (vec![0.0; self.first.bias.len()], [0.0; CLASSES]);
        let mut image = [0.0; PIXELS];
        let mut right = 0usize;
        for (x, &label) in data.images().chunks_exact(PIXELS).zip(data.labels()) {
            image.copy_from_slice(x);
            hooks.activations(0, &mut image);
            self.first.forward(&weights[0], &image, &mut hidden);
            hidden.iter_mut().for_each(|h| *h = h.max(0.0));
            hooks.activations(1, &mut hidden);
            self.second.forward(&weights[1], &hidden, &mut out);
            let best = (0..CLASSES).fold(0, |best, i| if out[i] > out[best] { i } else { best });
            right += usize::from(best == usize::from(label));
        }
        right as f64 / data.len().max(1) as f64
    }

    /// The outputs of the hidden layer for all images, for calibrating its quantizer.
    pub fn hidden(&self, data: &Digits) -> Vec<f32> {
        let mut all = vec![0.0; data.len() * self.first.bias.len()];
        for (x, h) in data.images().chunks_exact(PIXELS).zip(all.chunks_exact_mut(self.first.bias.len())) {
            self.first.forward(&self.first.weights, x, h);
            h.iter_mut().for_each(|h| *h = h.max(0.0));
        }
        all
    }

    /// Trains for a number of epochs with shuffled batches of 32; the learning rate decreases linearly to 0.
    pub fn train(&mut self, data: &Digits, epochs: u32, rate: f32, random: &mut Random, hooks: &mut dyn Hooks) {
        const BATCH: usize = 32;
        let mut order: Vec<usize> = (0..data.len()).collect();
        let mut gradient = Mlp { first: Linear::zeros_like(&self.first), second: Linear::zeros_like(&self.second) };
        let mut adam =
            [&self.first, &self.second].map(|layer| [Adam::new(layer.weights.len()), Adam::new(layer.bias.len())]);
        let steps = epochs as usize * data.len().div_ceil(BATCH);
        let mut step = 0;
        for _ in 0..epochs {
            random.shuffle(&mut order);
            for batch in order.chunks(BATCH) {
                gradient.first.clear();
                gradient.second.clear();
                let weights = hooks.weights(self);
                for &i in batch {
                    let x = &data.images()[i * PIXELS..(i + 1) * PIXELS];
                    self.example(x, data.labels()[i], 1.0 / batch.len() as f32, &weights, &mut gradient, hooks);
                }
                hooks.weights_backward(self, &mut gradient);
                let rate = rate * (1.0 - step as f32 / steps as f32);
                let layers = [(&mut self.first, &gradient.first), (&mut self.second, &gradient.second)];
                for ((layer, gradient), [weights, bias]) in layers.into_iter().zip(&mut adam) {
                    weights.step(&mut layer.weights, &gradient.weights, rate);
                    bias.step(&mut layer.bias, &gradient.bias, rate);
                }
                hooks.step(rate);
                step += 1;
            }
        }
    }

    /// Adds the weighted gradient of the loss for one example.
    fn example(
        &self,
        x: &[f32],
        label: u8,
        share: f32,
        weights: &[Vec<f32>; 2],
        gradient: &mut Mlp,
        hooks: &mut dyn Hooks,
    ) {
        let mut image = x.to_vec();
        hooks.activations(0, &mut image);
        let mut hidden = vec![0.0; self.first.bias.len()];
        self.first.forward(&weights[0], &image, &mut hidden);
        let active: Vec<f32> = hidden.iter().map(|h| h.max(0.0)).collect();
        let mut used = active.clone();
        hooks.activations(1, &mut used);
        let mut out = [0.0; CLASSES];
        self.second.forward(&weights[1], &used, &mut out);

        // The gradient of softmax cross-entropy is the probabilities, minus 1 at the label.
        let most = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut d_out = out.map(|z| libm::expf(z - most));
        let total: f32 = d_out.iter().sum();
        for (i, d) in d_out.iter_mut().enumerate() {
            *d = share * (*d / total - if i == usize::from(label) { 1.0 } else { 0.0 });
        }
        gradient.second.accumulate(&used, &d_out);
        let mut d_hidden: Vec<f32> =
            weights[1].chunks_exact(CLASSES).map(|row| row.iter().zip(&d_out).map(|(w, d)| w * d).sum()).collect();
        hooks.activations_backward(1, &active, &mut d_hidden);
        for (d, &h) in d_hidden.iter_mut().zip(&hidden) {
            *d = if h > 0.0 { *d } else { 0.0 };
        }
        gradient.first.accumulate(&image, &d_hidden);
    }
}

/// Adam (Kingma and Ba 2014) with the usual constants.
#[derive(Clone, Debug)]
pub struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
}

impl Adam {
    pub fn new(len: usize) -> Self {
        Adam { mean: vec![0.0; len], square: vec![0.0; len], steps: 0 }
    }

    /// Computes the next step for each gradient, with a magnitude of about 1.
    pub fn direction(&mut self, gradient: &[f32], mut apply: impl FnMut(usize, f32)) {
        const B1: f32 = 0.9;
        const B2: f32 = 0.999;
        self.steps += 1;
        let unbias = |b: f32| 1.0 - libm::powf(b, self.steps as f32);
        let (u1, u2) = (unbias(B1), unbias(B2));
        for (i, &g) in gradient.iter().enumerate() {
            self.mean[i] = B1 * self.mean[i] + (1.0 - B1) * g;
            self.square[i] = B2 * self.square[i] + (1.0 - B2) * g * g;
            apply(i, self.mean[i] / u1 / ((self.square[i] / u2).sqrt() + 1e-8));
        }
    }

    fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f32) {
        self.direction(gradient, |i, direction| values[i] -= rate * direction);
    }
}
