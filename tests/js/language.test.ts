/** A Hugging Face folder of a language model, opened and converted as people do. The Rust tests compare more of them. */

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { init, MemoryTarget, openModel, planModel, quantizeModel, type Model } from 'quantpress';
import { beforeAll, describe, expect, it } from 'vitest';
import { folder, sha256 } from './support/files.js';
import { safetensorsFile } from './support/safetensors.js';
import { WHALE, WHALE_FOLDER, WHALE_FOLDER_SHA256 } from './support/whale.js';

beforeAll(() => init());

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
async function whaleFolder(parent: string): Promise<string> {
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

const converted = async (model: Model, preset: string, workers = 0): Promise<Uint8Array<ArrayBuffer>> => {
  const target = new MemoryTarget();
  await quantizeModel(model, target, preset, { workers });
  return target.bytes as Uint8Array<ArrayBuffer>;
};

const RERANKER = join(import.meta.dirname, '../golden/language/Qwen3-Reranker-9K');
const TEMPLATES = 'additional_chat_templates';

/** The weights of tests/golden/language/make.py in BF16: a linear congruential sequence. */
function weights(index: number, count: number): Uint8Array {
  const bits = new Uint16Array(count);
  let state = (index * 7919 + 12345) >>> 0;
  for (let at = 0; at < count; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = new Float32Array([((state >>> 8) - 2 ** 23) / 2 ** 27]);
    bits[at] = (new Uint32Array(value.buffer)[0] ?? 0) >>> 16;
  }
  return new Uint8Array(bits.buffer);
}

/** A reranker's folder, with further templates in a folder of their own. */
function rerankerFolder(parent: string): string {
  const path = join(parent, 'Qwen3-Reranker-9K');
  cpSync(RERANKER, path, { recursive: true });
  const lines = readFileSync(join(RERANKER, 'tensors.txt'), 'utf8').trim().split('\n');
  const tensors = lines.map((line, index) => {
    const [, name = '', dtype = '', dims = ''] = line.split(' ');
    const shape = dims.split(',').map(Number);
    const data = weights(
      index,
      shape.reduce((a, b) => a * b, 1),
    );
    return [name, { dtype, shape, data }] as const;
  });
  writeFileSync(join(path, 'model.safetensors'), safetensorsFile(Object.fromEntries(tensors)));
  return path;
}

/** A directory as a page gets it. */
function handle(path: string, name: string): FileSystemDirectoryHandle {
  const entries = readdirSync(path, { withFileTypes: true }).map((entry) =>
    entry.isDirectory()
      ? handle(join(path, entry.name), entry.name)
      : {
          kind: 'file',
          name: entry.name,
          getFile: async () => new File([readFileSync(join(path, entry.name))], entry.name),
        },
  );
  const values = async function* () {
    yield* entries;
  };
  return { kind: 'directory', name, values, getFileHandle: undefined } as unknown as FileSystemDirectoryHandle;
}

describe('A reranker’s folder', () => {
  it('is the file llama.cpp’s script writes of it, by its path and as a page gets it', async () => {
    const path = rerankerFolder(folder().path);
    const sums = readFileSync(join(RERANKER, '../sha256.txt'), 'utf8').split('\n');
    const expected = sums.find((line) => line.startsWith('Qwen3-Reranker-9K bf16 '))?.split(' ')[2];
    const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const picked = files.map((entry) => {
      const file = new File([readFileSync(join(entry.parentPath, entry.name))], entry.name);
      const inner = entry.parentPath === path ? '' : `${TEMPLATES}/`;
      return Object.defineProperty(file, 'webkitRelativePath', { value: `Qwen3-Reranker-9K/${inner}${entry.name}` });
    });
    for (const input of [path, picked, handle(path, 'Qwen3-Reranker-9K')]) {
      const model = await openModel(input);
      expect([...model.files.keys()].filter((name) => name.startsWith(TEMPLATES)).length).toBe(2);
      expect(sha256(await converted(model, 'BF16'))).toBe(expected);
      expect(sha256(await converted(model, 'BF16', 2))).toBe(expected);
      await model.close();
    }
  });
});

describe('Tiny Whale’s folder', () => {
  it('is the file llama.cpp’s script writes of it, and has every tensor of its GGUF', async () => {
    const model = await openModel(await whaleFolder(folder().path));
    const made = await converted(model, 'F16', 2);
    expect(sha256(made)).toBe(WHALE_FOLDER_SHA256);
    await model.close();
    const [ours, theirs] = [await openModel(made), await openModel(WHALE)];
    const reference = readFileSync(WHALE);
    for (const { name, type, shape, offset, bytes } of theirs.tensors) {
      const tensor = ours.tensor(name);
      expect(tensor).toMatchObject({ type, shape, bytes });
      const same = reference
        .subarray(offset, offset + bytes)
        .equals(made.subarray(tensor.offset, tensor.offset + bytes));
      expect(same, name).toBe(true);
    }
    expect(ours.tensors.length).toBe(theirs.tensors.length);
    // What it says of the model is the same; only its name, licence and the like were written by hand.
    for (const [key, value] of theirs.metadata) {
      if (
        !/^general\.(name|basename|version|license|description|tags|languages)|add_(eos_token|space_prefix)$/.test(key)
      )
        expect([key, ours.metadata.get(key)]).toEqual([key, value]);
    }
    await ours.close();
    await theirs.close();
  });

  it('is quantized in one step to what two steps make', async () => {
    const model = await openModel(await whaleFolder(folder().path));
    const between = await openModel(await converted(model, 'F16'));
    for (const preset of ['Q4_K_M', 'Q8_0']) {
      const [once, twice] = [await converted(model, preset), await converted(between, preset)];
      expect(sha256(once)).toBe(sha256(twice));
    }
    await between.close();
    await model.close();
  });

  it('without its config.json is refused in one sentence', async () => {
    const path = await whaleFolder(folder().path);
    const model = await openModel(new Uint8Array(readFileSync(join(path, 'model.safetensors'))));
    await expect(planModel(model, 'F16')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await model.close();
  });

  it('says which way it cuts text by name, if it is asked to', async () => {
    const model = await openModel(await whaleFolder(folder().path));
    const plan = await planModel(model, { preset: 'F16', preTokenizer: 'smollm' });
    const header = plan.header();
    expect(Buffer.from(header).includes('smollm')).toBe(true);
    plan.free();
    await model.close();
  });
});
