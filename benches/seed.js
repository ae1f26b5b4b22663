#!/usr/bin/env node
/**
 * The original module's operations on one thread: this package's WebAssembly in Node compared with the original (crate
 * `entrenar` 0.7.13, module `quant`) compiled for this machine, in one run.
 *
 * `node benches/seed.js [name ...]` prints million values per second and ratios for 16 Mi gaussian values; `--record`
 * writes the table to `benches/results/seed.md`. It measures dist/, so run `npm run build` first. Runs of the original
 * alternate with ours, so that a busy machine slows both.
 *
 * The two do not do the same work. The original's 4-bit codes are linear, its integers are never packed, its sums are
 * in single precision, and it does not check for NaN; ours are measured with all checks and copies.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import * as quantpress from '../dist/node.js';

const COUNT = 1 << 24;
const ROW = 4096;
const SHAPE = [COUNT / ROW, ROW];

await quantpress.init();
const weights = quantpress.generateGaussianWeights(COUNT, 0, 1, 7);
const floats = new Float32Array(COUNT);
const bytes = new Uint8Array(COUNT * 2);
const out = (length) => bytes.subarray(0, length);

const perChannel = (mode) => ({ bits: 8, mode, granularity: { kind: 'perChannel', axis: 0 } });

/** Calibrates and quantizes into `out`, like the original's `quantize_tensor`. */
function quantizeTensor(options) {
  return () => {
    const params = quantpress.calibrateTensor(weights, SHAPE, options);
    quantpress.quantizePackedInto(weights, SHAPE, params, out(COUNT));
  };
}

function dequantizeTensor(mode) {
  const tensor = quantpress.quantizeTensor(weights, SHAPE, perChannel(mode));
  return () => quantpress.dequantizeTensorInto(tensor, floats);
}

function quantizeBlocks(format, size) {
  return () => quantpress.quantizeInto(weights, format, out(size), { rowLength: ROW });
}

function dequantizeBlocks(format) {
  const encoded = quantpress.quantize(weights, format, { rowLength: ROW });
  return () => quantpress.dequantizeInto(encoded, format, floats);
}

function fakeQuantize() {
  const fake = quantpress.FakeQuantize.q8();
  fake.calibrate(weights);
  return fake;
}

/**
 * The eleven measurements of the original's `run_full_benchmark_suite`; our suite has hundreds, so the same ones are
 * run here.
 */
function suite() {
  const affine = (bits, granularity) => ({ kind: 'affine', bits, mode: 'symmetric', granularity });
  const [tensor, channel, group] = [
    { kind: 'perTensor' },
    { kind: 'perChannel', axis: 0 },
    { kind: 'perGroup', size: 32 },
  ];
  const every = [4, 8].flatMap((bits) => [tensor, channel, group].map((granularity) => affine(bits, granularity)));
  const cases = [
    [() => quantpress.generateGaussianWeights(COUNT, 0, 1, 42), every],
    [() => quantpress.generateUniformWeights(COUNT, -1, 1, 43), [affine(8, tensor)]],
    [() => quantpress.generateWeightsWithOutliers(COUNT, 0.01, 10, 44), [affine(8, tensor), affine(8, group)]],
    [() => quantpress.generateMultiChannelWeights(16, COUNT / 16, 5, 45), [affine(8, tensor), affine(8, channel)]],
  ];
  for (const [generate, schemes] of cases) {
    const values = generate();
    for (const scheme of schemes) quantpress.runBenchmark('', values, [16, COUNT / 16], scheme);
  }
}

/**
 * For each operation, a function that prepares it and returns what is timed; the names are those of `benches/entrenar`.
 */
const OPERATIONS = {
  quantize4bit() {
    const absmax = new Float32Array(COUNT / 64);
    return () => quantpress.quantize4bitInto(weights, out(COUNT / 2), absmax);
  },
  dequantize4bit() {
    const tensor = quantpress.quantize4bit(weights);
    return () => quantpress.dequantize4bitInto(tensor, floats);
  },
  quantize4bitDouble() {
    const [absmaxCodes, nested] = [new Uint8Array(COUNT / 64), new Float32Array(COUNT / 64 / 256)];
    return () => quantpress.quantize4bitDoubleInto(weights, out(COUNT / 2), absmaxCodes, nested);
  },
  dequantize4bitDouble() {
    const tensor = quantpress.quantize4bitDouble(weights);
    return () => quantpress.dequantize4bitDoubleInto(tensor, floats);
  },
  'Q4_0 quantize': () => quantizeBlocks('Q4_0', (COUNT / 32) * 18),
  'Q4_0 dequantize': () => dequantizeBlocks('Q4_0'),
  'Q8_0 quantize': () => quantizeBlocks('Q8_0', (COUNT / 32) * 34),
  'Q8_0 dequantize': () => dequantizeBlocks('Q8_0'),
  'fakeQuantize, symmetric': () => () => quantpress.fakeQuantizeInto(weights, 8, 'symmetric', floats),
  'fakeQuantize, asymmetric': () => () => quantpress.fakeQuantizeInto(weights, 8, 'asymmetric', floats),
  'FakeQuantize.forward'() {
    const fake = fakeQuantize();
    return () => fake.forwardInto(weights, floats);
  },
  'FakeQuantize.backwardClamped'() {
    const [fake, gradient] = [fakeQuantize(), weights.slice()];
    return () => fake.backwardClampedInto(gradient, weights, floats);
  },
  'quantizeTensor, per channel, symmetric': () => quantizeTensor(perChannel('symmetric')),
  'quantizeTensor, per channel, asymmetric': () => quantizeTensor(perChannel('asymmetric')),
  'quantizeTensor, per tensor': () => quantizeTensor({ bits: 8 }),
  'quantizeTensor, groups of 128': () => quantizeTensor({ bits: 8, granularity: { kind: 'perGroup', size: 128 } }),
  'dequantizeTensor, symmetric': () => dequantizeTensor('symmetric'),
  'dequantizeTensor, asymmetric': () => dequantizeTensor('asymmetric'),
  calibrateMinMax: () => () => quantpress.calibrateMinMax(weights, 8, 'symmetric'),
  calibratePercentile: () => () => quantpress.calibratePercentile(weights, 8, 'asymmetric', 0.1, 99.9),
  analyzeError() {
    const params = quantpress.calibratePerTensor(weights, 8, 'symmetric');
    return () => quantpress.analyzeError(weights, [COUNT], params, { outlierThreshold: 0.01 });
  },
  generateGaussianWeights: () => () => quantpress.generateGaussianWeights(COUNT, 0, 1, 42),
  compareBitWidths: () => () => quantpress.compareBitWidths(weights),
  analyzeOutlierImpact: () => () => quantpress.analyzeOutlierImpact(weights, 99.9, 8),
  runFullBenchmarkSuite: () => suite,
};

/** The shortest of a few runs, in milliseconds. */
function best(run) {
  const start = performance.now();
  let least = Infinity;
  for (let rounds = 0; ; rounds += 1) {
    const spent = performance.now() - start;
    if ((rounds >= 5 && spent > 400) || (rounds > 0 && spent > 4000)) return least;
    const from = performance.now();
    run();
    least = Math.min(least, performance.now() - from);
  }
}

/** Builds the original once, next to our own build. */
function buildOriginal() {
  const manifest = fileURLToPath(new URL('entrenar/Cargo.toml', import.meta.url));
  const target = fileURLToPath(new URL('../target/entrenar', import.meta.url));
  const args = ['build', '--quiet', '--locked', '--release', '--manifest-path', manifest, '--target-dir', target];
  execFileSync('cargo', args, { stdio: 'inherit' });
  return `${target}/release/entrenar-bench`;
}

const original = buildOriginal();
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const figure = (ms) => (COUNT / 1e3 / ms).toFixed(0);
const lines = ['| operation | ours, wasm | original, native | ratio | ours / copy |', '|---|---:|---:|---:|---:|'];
for (const [name, prepare] of Object.entries(OPERATIONS)) {
  if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
  const run = prepare();
  const first = best(run);
  const theirs = JSON.parse(execFileSync(original, [String(COUNT), name])).ms;
  const copied = best(() => floats.set(weights));
  const ours = Math.min(first, best(run));
  const ofCopy = `${Math.round((100 * copied) / ours)}%`;
  lines.push(`| ${name} | ${figure(ours)} | ${figure(theirs)} | **${(theirs / ours).toFixed(1)}** | ${ofCopy} |`);
  console.log(lines.at(-1));
}

if (process.argv.includes('--record')) {
  const machine = `${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
  mkdirSync(new URL('results/', import.meta.url), { recursive: true });
  writeFileSync(
    new URL('results/seed.md', import.meta.url),
    `# The original module's operations, million values per second, one thread

${machine}. \`node benches/seed.js --record\` writes this file: this package's WebAssembly, from JavaScript and into the
caller's memory where an \`Into\` form exists, against crate \`entrenar\` 0.7.13 compiled natively, 16 Mi gaussian values, the
best of several runs on a shared machine. Only the ratio is comparable across machines. The last column is our speed relative
to that of JavaScript copying the same number of floats from one array to another, measured between our runs.

${lines.join('\n')}

\`compareBitWidths\` measures seven widths, the original two. \`runFullBenchmarkSuite\` here means the original's eleven
measurements and their data.
`,
  );
}
