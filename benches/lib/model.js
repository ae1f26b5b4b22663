/** A model for measurements. */

import { closeSync, openSync, writeSync } from 'node:fs';
import * as quantpress from '../../dist/node.js';

const COLUMNS = 4096;
/** Rows of the embedding and output tensors, the largest tensors of most models. */
const VOCABULARY = 32_000;
/** Rows of each tensor in a layer. */
const ROWS = {
  attn_q: 1024,
  attn_k: 256,
  attn_v: 256,
  attn_output: 1024,
  ffn_gate: 1792,
  ffn_up: 1792,
  ffn_down: 1792,
};

/**
 * Writes a llama model with gaussian F16 weights from scratch, following the GGUF specification: 0.52 GB plus 65 MB per
 * layer.
 * @param {string} path @param {number} layers
 */
export function writeModel(path, layers) {
  const tensors = Array.from({ length: layers }, (_, layer) =>
    Object.entries(ROWS).map(([kind, rows]) => ({ name: `blk.${layer}.${kind}.weight`, rows })),
  ).flat();
  tensors.push(...['token_embd.weight', 'output.weight'].map((name) => ({ name, rows: VOCABULARY })));
  const pairs = {
    'llama.block_count': layers,
    'llama.context_length': 4096,
    'llama.embedding_length': COLUMNS,
    'llama.feed_forward_length': ROWS.ffn_up,
    'llama.attention.head_count': 32,
    'llama.attention.head_count_kv': 8,
  };
  const parts = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(2 + Object.keys(pairs).length)];
  parts.push(text('general.architecture'), u32(8), text('llama'));
  for (const [key, value] of Object.entries(pairs)) parts.push(text(key), u32(4), u32(value));
  parts.push(text('llama.attention.layer_norm_rms_epsilon'), u32(6), Buffer.from(Float32Array.of(1e-5).buffer));
  let offset = 0;
  for (const { name, rows } of tensors) {
    parts.push(text(name), u32(2), u64(COLUMNS), u64(rows), u32(1), u64(offset));
    offset += rows * COLUMNS * 2;
  }
  const header = Buffer.concat(parts);
  const file = openSync(path, 'w');
  writeSync(file, header);
  writeSync(file, Buffer.alloc((32 - (header.length % 32)) % 32));
  for (const [index, { rows }] of tensors.entries()) {
    const weights = quantpress.generateGaussianWeights(rows * COLUMNS, 0, 0.02, index + 1);
    writeSync(file, quantpress.quantize(weights, 'F16', { rowLength: COLUMNS }));
  }
  closeSync(file);
}

/** @param {number} value */
function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** @param {number} value */
function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** @param {string} value */
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
