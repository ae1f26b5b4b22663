/** The ten lines of the README, tested exactly as published. */

import { readFileSync } from 'node:fs';

/** The code of the example. */
export const example = /<!-- example -->\n```js\n([\s\S]+?)```/.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';

/** What it prints. */
export const printed = /^2304 bytes, 4\.5 bits per weight, largest error 0\.00\d\d$/;

const WORK = `
  const weights = Float32Array.from({ length: 2048 }, (_, index) => Math.fround(((index * 7919) % 2003) / 997 - 1));
  const bytes = ['Q4_K', 'Q8_0', 'IQ4_XS'].flatMap((format) => [...quantize(weights, format, { rowLength: 512 })]);
  const text = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');`;

/** A program that quantizes with one entry of the package and logs the bytes. */
export const printBytes = (entry: string): string => `
  import { init, quantize } from '${entry}';
  await init();
  ${WORK}
  (globalThis.process?.stdout?.write ? (text) => process.stdout.write(text) : console.log)(text);`;

/** A worker of workerd that answers with the same bytes. */
export const answerBytes = `
  import { init, quantize } from 'quantpress';
  export default { async fetch() { await init(); ${WORK} return new Response(text); } };`;

/** The expected log of {@link printBytes}, computed here: tests/js compares `quantize` with the oracle. */
export async function expectedBytes(): Promise<string> {
  const { init, quantize } = await import('quantpress');
  await init();
  const weights = Float32Array.from({ length: 2048 }, (_, index) => Math.fround(((index * 7919) % 2003) / 997 - 1));
  const formats = ['Q4_K', 'Q8_0', 'IQ4_XS'] as const;
  return Buffer.concat(formats.map((format) => quantize(weights, format, { rowLength: 512 }))).toString('hex');
}
