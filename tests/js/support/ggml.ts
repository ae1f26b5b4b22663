/** ggml's own library (npm `@node-llama-cpp/linux-x64`, or QUANTPRESS_GGML), called from Node. */

import { existsSync } from 'node:fs';
import koffi from 'koffi';

const PATH = process.env.QUANTPRESS_GGML ?? 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so';

/** Whether this machine can run the reference. It is built for Linux on x64. */
export const hasGgml =
  process.env.QUANTPRESS_GGML !== undefined || (process.platform === 'linux' && process.arch === 'x64');

/**
 * The reference's functions. It aborts the process on weights that it cannot represent, so do not pass such weights.
 */
export function loadGgml(): {
  encode(id: number, weights: Float32Array, rowLength: number, bytes: number, importance?: Float32Array): Uint8Array;
} {
  if (!existsSync(PATH)) throw new Error(`the reference library ${PATH} is missing: npm ci, or set QUANTPRESS_GGML`);
  const chunk = koffi
    .load(PATH)
    .func(
      'size_t ggml_quantize_chunk(int type, const float *src, _Out_ uint8_t *dst, int64_t start, int64_t rows, int64_t row, const float *imatrix)',
    );
  return {
    encode(id, weights, rowLength, bytes, importance) {
      const out = new Uint8Array(bytes);
      const written = chunk(id, weights, out, 0, weights.length / rowLength, rowLength, importance ?? null);
      if (Number(written) !== bytes) throw new Error(`the reference wrote ${written} bytes, not ${bytes}`);
      return out;
    },
  };
}
