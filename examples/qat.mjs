// Trains a classifier of handwritten digits and quantizes its weights to 2 bits, after training and during training:
// node examples/qat.mjs
import { FakeQuantConfig, FakeQuantize, init, LearnedFakeQuantize, loadDigits } from 'quantpress';

await init();
const [PIXELS, CLASSES, TRAINING] = [64, 10, 1400];
const shape = [CLASSES, PIXELS];
const granularity = { kind: 'perChannel', axis: 0 };
const { images, labels } = await loadDigits();

/** The scores of all classes for image `at`. */
function scores(weights, at) {
  const scores = new Float64Array(CLASSES);
  for (let c = 0; c < CLASSES; c++) {
    for (let p = 0; p < PIXELS; p++) scores[c] += weights[c * PIXELS + p] * images[at * PIXELS + p];
  }
  return scores;
}

/** The fraction of the test images, none of them used for training, whose best score is the right class. */
function accuracy(weights) {
  let right = 0;
  for (let at = TRAINING; at < labels.length; at++) {
    const found = scores(weights, at);
    right += found.indexOf(Math.max(...found)) === labels[at];
  }
  return right / (labels.length - TRAINING);
}

/** The gradient of the mean cross-entropy over the training images. */
function gradientOf(weights) {
  const gradient = new Float32Array(weights.length);
  for (let at = 0; at < TRAINING; at++) {
    const found = scores(weights, at);
    const largest = Math.max(...found);
    const shares = found.map((score) => Math.exp(score - largest));
    const sum = shares.reduce((total, share) => total + share, 0);
    for (let c = 0; c < CLASSES; c++) {
      const wrong = (shares[c] / sum - (c === labels[at])) / TRAINING;
      for (let p = 0; p < PIXELS; p++) gradient[c * PIXELS + p] += wrong * images[at * PIXELS + p];
    }
  }
  return gradient;
}

function descend(weights, gradient, rate) {
  for (let at = 0; at < weights.length; at++) weights[at] -= rate * gradient[at];
}

const weights = new Float32Array(CLASSES * PIXELS);
for (let step = 0; step < 200; step++) descend(weights, gradientOf(weights), 2);

// After training: one range per class, and every weight rounded to the nearest of -1, 0, 1 steps.
const config = FakeQuantConfig.symmetric(2);
const fake = new FakeQuantize(config, { granularity });
fake.calibrate(weights, shape);
const rounded = fake.forward(weights, shape);

// During training: the loss is computed with rounded weights; the float weights and the scales are updated.
const trained = weights.slice();
const learned = LearnedFakeQuantize.fromValues(config, weights, shape, granularity);
for (let step = 0; step < 200; step++) {
  // Rounded weights jump between codes while updates are large; the learning rate falls to zero so that they settle.
  const rate = 1 - step / 200;
  const { input, scales } = learned.backward(gradientOf(learned.forward(trained, shape)), trained, shape);
  descend(trained, input, 2 * rate);
  descend(learned.scales, scales, 0.5 * rate);
  learned.clampParameters();
}

const results = {
  'in floating point': weights,
  'after training': rounded,
  'during training': learned.forward(trained, shape),
};
for (const [name, found] of Object.entries(results)) {
  console.log(name.padEnd(18), `${(100 * accuracy(found)).toFixed(1)}% of images classified correctly`);
}
