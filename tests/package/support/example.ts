/** The ten lines of the README, tested exactly as published. */

import { readFileSync } from 'node:fs';

/** The code of the example. */
export const example = /<!-- example -->\n```js\n([\s\S]+?)```/.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';

/** What it prints. */
export const printed = /^2304 bytes, 4\.5 bits per weight, largest error 0\.00\d\d$/;

/** What the modules say that are loaded on first use: the size of a planned safetensors model, and that there are too few digits. */
async function throughModules(
  openModel: typeof import('quantpress').openModel,
  planModel: typeof import('quantpress').planModel,
  benchmark: typeof import('quantpress').AccuracyBenchmark,
): Promise<string> {
  const tensor = { dtype: 'F32', shape: [2, 32], data_offsets: [0, 256] };
  const header = new TextEncoder().encode(JSON.stringify({ 'a.weight': tensor }));
  const file = new Uint8Array(8 + header.length + 256);
  new DataView(file.buffer).setUint32(0, header.length, true);
  file.set(header, 8);
  const { size } = await planModel(await openModel(file), { preset: 'Q8_0', plain: true });
  const digits = { images: new Float32Array(64), labels: new Uint8Array(1) };
  const rejected = await benchmark.train({ digits }).catch((error) => error.message);
  return `${size} ${rejected}`;
}

const WORK = `
  const weights = Float32Array.from({ length: 2048 }, (_, index) => Math.fround(((index * 7919) % 2003) / 997 - 1));
  const bytes = ['Q4_K', 'Q8_0', 'IQ4_XS'].flatMap((format) => [...quantize(weights, format, { rowLength: 512 })]);
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const text = hex + ' ' + await (${throughModules})(openModel, planModel, AccuracyBenchmark);`;

/** A program that quantizes with one entry of the package and logs the bytes. */
export const printBytes = (entry: string): string => `
  import { AccuracyBenchmark, init, openModel, planModel, quantize } from '${entry}';
  await init();
  ${WORK}
  (globalThis.process?.stdout?.write ? (text) => process.stdout.write(text) : console.log)(text);`;

/** A worker of workerd that answers with the same bytes. */
export const answerBytes = `
  import { AccuracyBenchmark, init, openModel, planModel, quantize } from 'quantpress';
  export default { async fetch() { await init(); ${WORK} return new Response(text); } };`;

/** The expected log of {@link printBytes}, computed here: tests/js compares `quantize` with the oracle. */
export async function expectedBytes(): Promise<string> {
  const { AccuracyBenchmark, init, openModel, planModel, quantize } = await import('quantpress');
  await init();
  const weights = Float32Array.from({ length: 2048 }, (_, index) => Math.fround(((index * 7919) % 2003) / 997 - 1));
  const formats = ['Q4_K', 'Q8_0', 'IQ4_XS'] as const;
  const hex = Buffer.concat(formats.map((format) => quantize(weights, format, { rowLength: 512 }))).toString('hex');
  return `${hex} ${await throughModules(openModel, planModel, AccuracyBenchmark)}`;
}
