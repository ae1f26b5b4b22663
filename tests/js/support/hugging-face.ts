/** Hugging Face folders for tests: their small files are committed, and their weights are made. */

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openModel, quantize } from 'quantpress';
import { safetensorsFile } from './safetensors.js';
import { WHALE, WHALE_FOLDER } from './whale.js';

/** Tensors of llama in GGUF and in safetensors; `#` is the number of a layer. */
const NAMES: [gguf: string, safetensors: string][] = [
  ['token_embd', 'model.embed_tokens'],
  ['output_norm', 'model.norm'],
  ['output', 'lm_head'],
  ['blk.#.attn_norm', 'model.layers.#.input_layernorm'],
  ['blk.#.attn_q', 'model.layers.#.self_attn.q_proj'],
  ['blk.#.attn_k', 'model.layers.#.self_attn.k_proj'],
  ['blk.#.attn_v', 'model.layers.#.self_attn.v_proj'],
  ['blk.#.attn_output', 'model.layers.#.self_attn.o_proj'],
  ['blk.#.ffn_norm', 'model.layers.#.post_attention_layernorm'],
  ['blk.#.ffn_gate', 'model.layers.#.mlp.gate_proj'],
  ['blk.#.ffn_up', 'model.layers.#.mlp.up_proj'],
  ['blk.#.ffn_down', 'model.layers.#.mlp.down_proj'],
];

const HEADS: Record<string, number> = { attn_q: 8, attn_k: 4 };

/** The rows of queries and keys as Hugging Face has them: of each head the even ones, then the odd ones. */
function halved(rows: Uint8Array[], heads: number): Uint8Array[] {
  const size = rows.length / heads;
  return rows.map((_, at) => {
    const [head, within] = [Math.floor(at / size), at % size];
    const half = size / 2;
    const from = head * size + (within < half ? 2 * within : 2 * (within - half) + 1);
    return rows[from] as Uint8Array;
  });
}

/** Tiny Whale's folder, its weights taken back from the GGUF file. */
export async function whaleFolder(parent: string): Promise<string> {
  const path = join(parent, 'tiny-whale-hf');
  mkdirSync(path);
  for (const name of readdirSync(WHALE_FOLDER)) copyFileSync(join(WHALE_FOLDER, name), join(path, name));
  const [gguf, bytes] = [await openModel(WHALE), readFileSync(WHALE)];
  const tensors = gguf.tensors.map(({ name, type, shape, offset, bytes: size }) => {
    const layer = /^blk\.(\d+)\./.exec(name)?.[1] ?? '';
    const stem = name.replace(/\.weight$/, '').replace(`blk.${layer}.`, 'blk.#.');
    const other = NAMES.find(([known]) => known === stem)?.[1] ?? name;
    const rowBytes = size / (shape[1] ?? 1);
    const rows = Array.from({ length: shape[1] ?? 1 }, (_, row) =>
      bytes.subarray(offset + row * rowBytes, offset + (row + 1) * rowBytes),
    );
    const heads = HEADS[stem.slice('blk.#.'.length)];
    const data = Buffer.concat(heads === undefined ? rows : halved(rows, heads));
    return [`${other.replace('#', layer)}.weight`, { dtype: type, shape: shape.toReversed(), data }] as const;
  });
  await gguf.close();
  writeFileSync(join(path, 'model.safetensors'), safetensorsFile(Object.fromEntries(tensors)));
  return path;
}

/** Where the small files are. */
export const GOLDEN = join(import.meta.dirname, '../../golden/language');

/** The weights of make.py: a linear congruential sequence, its upper 24 bits as a fraction, exact in F32. */
function weights(index: number, dtype: string, count: number): Uint8Array {
  if (dtype === 'I64') return new Uint8Array(BigInt64Array.from({ length: count }, (_, at) => BigInt(at)).buffer);
  let state = (index * 7919 + 12345) >>> 0;
  const values = Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) - 2 ** 23) / 2 ** 27;
  });
  if (dtype === 'F32') return new Uint8Array(values.buffer);
  if (dtype === 'F16') return quantize(values, 'F16');
  return new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16).buffer);
}

/** The names of tests/golden/language's folders: every family that is converted. */
export const GOLDEN_NAMES = readdirSync(GOLDEN, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);

/** A folder of tests/golden/language with its weights, as `make.py` makes it; the engine must be ready. */
export function goldenFolder(parent: string, name: string): string {
  const path = join(parent, name);
  cpSync(join(GOLDEN, name), path, { recursive: true });
  rmSync(join(path, 'tensors.txt'));
  const files = new Map<string, [string, { dtype: string; shape: number[]; data: Uint8Array }][]>();
  const lines = readFileSync(join(GOLDEN, name, 'tensors.txt'), 'utf8')
    .trim()
    .split('\n');
  for (const [index, line] of lines.entries()) {
    const [file = '', tensor = '', dtype = '', dims = ''] = line.split(' ');
    const shape = dims.split(',').map(Number);
    const count = shape.reduce((a, b) => a * b, 1);
    files.set(file, [...(files.get(file) ?? []), [tensor, { dtype, shape, data: weights(index, dtype, count) }]]);
  }
  for (const [file, tensors] of files) writeFileSync(join(path, file), safetensorsFile(Object.fromEntries(tensors)));
  return path;
}
