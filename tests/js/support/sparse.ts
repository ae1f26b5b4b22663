/** Models of any size that take no disk space. */

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { ggufHeader, LLAMA, padded, TYPE } from './gguf.js';
import { PEAK } from './peak.js';

/** Weights in a row of these models. */
export const COLUMNS = 4096;

/** The interval of rows that are not zero. */
export const EVERY = 128;

/** The row that is not zero: F16 bits from 0x3000 to 0x37ff are numbers from 0.125 to 0.5. */
export const ROW = Uint16Array.from({ length: COLUMNS }, (_, index) => 0x3000 + ((index * 2654435761) >>> 21));

/**
 * A model of F16 of about `size` bytes. Its first row of every MB is written; the rest is a hole in the file, which
 * reads as zeros and takes no disk space.
 */
export function sparseModel(path: string, size: number): void {
  const rows = Math.round(size / 8 / (2 * COLUMNS));
  const tensors = Array.from({ length: 8 }, (_, index) => ({
    name: `blk.${index >> 2}.${['attn_q', 'attn_k', 'ffn_up', 'ffn_gate'][index & 3]}.weight`,
    type: TYPE.F16,
    shape: [COLUMNS, rows],
    size: padded(2 * COLUMNS * rows),
  }));
  const header = ggufHeader(LLAMA, tensors);
  const file = openSync(path, 'w');
  ftruncateSync(file, header.length + tensors.reduce((sum, tensor) => sum + tensor.size, 0));
  writeSync(file, header, 0, header.length, 0);
  for (let at = header.length; at + 2 * COLUMNS < size; at += EVERY * 2 * COLUMNS) {
    writeSync(file, new Uint8Array(ROW.buffer), 0, 2 * COLUMNS, at);
  }
  closeSync(file);
}

/** A script for a separate process: it quantizes and prints the peak memory of the process in bytes. */
export function peakScript(input: string, output: string, preset: string, workers: number): string {
  const entry = new URL('../../../dist/node.js', import.meta.url).href;
  return `
    import { init, openModel, quantizeModel } from ${JSON.stringify(entry)};
    await init();
    const model = await openModel(${JSON.stringify(input)});
    await quantizeModel(model, ${JSON.stringify(output)}, ${JSON.stringify(preset)}, { workers: ${workers} });
    await model.close();
    console.log(${PEAK});
  `;
}
