// Trains a classifier of handwritten digits, and rounds its weights to 2 bits after training and during it:
// node examples/qat.mjs
import { readFile } from 'node:fs/promises';
import { FakeQuantConfig, FakeQuantize, init, LearnedFakeQuantize, readDigits } from 'quantpress';

await init();
const [PIXELS, CLASSES, TRAINING] = [64, 10, 1400];
const shape = [CLASSES, PIXELS];
const granularity = { kind: 'perChannel', axis: 0 };
const { images, labels } = readDigits(await readFile(new URL('digits.bin', import.meta.url)));

/** The score of every class for image `at`. */
function scores(weights, at) {
  const scores = new Float64Array(CLASSES);
  for (let c = 0; c < CLASSES; c++) {
    for (let p = 0; p < PIXELS; p++) scores[c] += weights[c * PIXELS + p] * images[at * PIXELS + p];
  }
  return scores;
}

/** The share of images, none of them trained on, whose best score is the right one. */
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

// After training: a range per class, and every weight to the nearest of -1, 0, 1 steps.
const config = FakeQuantConfig.symmetric(2);
const fake = new FakeQuantize(config, { granularity });
fake.calibrate(weights, shape);
const rounded = fake.forward(weights, shape);

// During training: the loss sees rounded weights, the float weights and the steps themselves are moved.
const trained = weights.slice();
const learned = LearnedFakeQuantize.fromValues(config, weights, shape, granularity);
for (let step = 0; step < 200; step++) {
  // Rounded weights jump between codes as long as steps are large: the rate falls to nothing, so that they settle.
  const rate = 1 - step / 200;
  const { input, scales } = learned.backward(gradientOf(learned.forward(trained, shape)), trained, shape);
  descend(trained, input, 2 * rate);
  descend(learned.scales, scales, 0.5 * rate);
  learned.clampParameters();
}

const results = { 'in floats': weights, 'after training': rounded, 'during training': learned.forward(trained, shape) };
for (const [name, found] of Object.entries(results)) {
  console.log(name.padEnd(16), (100 * accuracy(found)).toFixed(1), '% of images recognised');
}
