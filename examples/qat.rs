//! Trains a classifier of handwritten digits and quantizes its weights to 2 bits, after training (PTQ) and during
//! training (QAT).
//!
//! The classifier is a single layer, trained by gradient descent on all images at once: small enough to read, and
//! realistic enough to show the advantage of quantization-aware training. `bench::digits` has the thorough version.
//!
//! `cargo run --release --example qat`

use quantpress::affine::QuantGranularity;
use quantpress::bench::digits::Digits;
use quantpress::qat::{FakeQuantConfig, FakeQuantize, LearnedFakeQuantize};

const PIXELS: usize = 64;
const CLASSES: usize = 10;
const SHAPE: [usize; 2] = [CLASSES, PIXELS];
const TRAINING: usize = 1400;
const STEPS: usize = 200;
const RATE: f32 = 2.0;

/// Runs the example; public so that a test can call it.
pub fn main() -> quantpress::Result<()> {
    run().map(|_| ())
}

/// Prints and returns three accuracies on images that were not used for training: in floating point, with PTQ, with
/// QAT.
pub fn run() -> quantpress::Result<[f64; 3]> {
    let digits = Digits::bundled()?;
    let (images, labels) = (digits.images(), digits.labels());
    let (train, test) = (images.split_at(TRAINING * PIXELS), labels.split_at(TRAINING));
    let accuracy = |weights: &[f32]| accuracy(weights, train.1, test.1);
    let per_class = QuantGranularity::PerChannel { axis: 0 };
    let config = FakeQuantConfig::symmetric(2)?;

    let mut weights = vec![0.0; CLASSES * PIXELS];
    for _ in 0..STEPS {
        let gradient = gradient(&weights, train.0, test.0);
        descend(&mut weights, &gradient, RATE);
    }

    // After training: one range per class, and every weight rounded to the nearest of -1, 0, 1 steps.
    let mut fake = FakeQuantize::with_granularity(config, per_class)?;
    fake.calibrate(&weights, &SHAPE)?;
    let rounded = fake.forward(&weights, &SHAPE)?;

    // During training: the loss is computed with rounded weights; the float weights and the scales are updated.
    let mut trained = weights.clone();
    let mut learned = LearnedFakeQuantize::new(config, per_class, &weights, &SHAPE)?;
    for step in 0..STEPS {
        // Rounded weights jump between codes while updates are large; the learning rate falls to zero so that they
        // settle.
        let rate = 1.0 - step as f32 / STEPS as f32;
        let seen = learned.forward(&trained, &SHAPE)?;
        let gradients = learned.backward(&gradient(&seen, train.0, test.0), &trained, &SHAPE)?;
        descend(&mut trained, &gradients.input, RATE * rate);
        for (scale, gradient) in learned.scales.iter_mut().zip(&gradients.scales) {
            *scale -= 0.25 * RATE * rate * *gradient as f32;
        }
        learned.clamp_parameters();
    }
    let seen = learned.forward(&trained, &SHAPE)?;

    let result = [accuracy(&weights), accuracy(&rounded), accuracy(&seen)];
    for (name, share) in
        ["in floating point", "2 bits after training", "2 bits during training"].into_iter().zip(result)
    {
        println!("{name:24} {:5.1}% of images classified correctly", 100.0 * share);
    }
    Ok(result)
}

/// The scores of all classes for one image.
fn scores(weights: &[f32], image: &[f32]) -> [f32; CLASSES] {
    let mut scores = [0.0; CLASSES];
    for (score, weights) in scores.iter_mut().zip(weights.chunks_exact(PIXELS)) {
        *score = weights.iter().zip(image).map(|(w, x)| w * x).sum();
    }
    scores
}

fn accuracy(weights: &[f32], images: &[f32], labels: &[u8]) -> f64 {
    let right = images.chunks_exact(PIXELS).zip(labels).filter(|(image, label)| {
        let scores = scores(weights, image);
        (0..CLASSES).max_by(|&a, &b| scores[a].total_cmp(&scores[b])) == Some(usize::from(**label))
    });
    right.count() as f64 / labels.len() as f64
}

/// The gradient of the mean cross-entropy: `mean((softmax(scores) - one_hot(label)) image)`.
fn gradient(weights: &[f32], images: &[f32], labels: &[u8]) -> Vec<f32> {
    let mut gradient = vec![0.0; weights.len()];
    for (image, &label) in images.chunks_exact(PIXELS).zip(labels) {
        let scores = scores(weights, image);
        let largest = scores.into_iter().fold(f32::NEG_INFINITY, f32::max);
        let shares = scores.map(|score| (score - largest).exp());
        let sum: f32 = shares.iter().sum();
        for (class, gradient) in gradient.chunks_exact_mut(PIXELS).enumerate() {
            let wrong = shares[class] / sum - f32::from(u8::from(class == usize::from(label)));
            gradient.iter_mut().zip(image).for_each(|(g, x)| *g += wrong * x / labels.len() as f32);
        }
    }
    gradient
}

fn descend(weights: &mut [f32], gradient: &[f32], rate: f32) {
    weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate * g);
}
