/**
 * A Hugging Face folder of a language model, opened and converted through the API. The Rust tests compare more of them.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { init, MemoryTarget, openModel, planModel, quantizeModel, type Model, type PresetName } from 'quantpress';
import { beforeAll, describe, expect, it } from 'vitest';
import { folder, sha256 } from './support/files.js';
import { GOLDEN, goldenFolder, whaleFolder } from './support/hugging-face.js';
import { WHALE, WHALE_FOLDER_SHA256 } from './support/whale.js';

beforeAll(() => init());

const converted = async (model: Model, preset: PresetName, workers = 0): Promise<Uint8Array<ArrayBuffer>> => {
  const target = new MemoryTarget();
  await quantizeModel(model, target, preset, { workers });
  return target.bytes as Uint8Array<ArrayBuffer>;
};

const TEMPLATES = 'additional_chat_templates';

/** A directory handle as in a page. */
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
  it("becomes the same file as with llama.cpp's script, from a path and from a page's files", async () => {
    const path = goldenFolder(folder().path, 'Qwen3-Reranker-9K');
    const sums = readFileSync(join(GOLDEN, 'sha256.txt'), 'utf8').split('\n');
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
  it("becomes the same file as with llama.cpp's script, with every tensor of its GGUF", async () => {
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
    // The model's metadata is the same; only its name, licence and the like were written by hand.
    for (const [key, value] of theirs.metadata) {
      if (
        !/^general\.(name|basename|version|license|description|tags|languages)|add_(eos_token|space_prefix)$/.test(key)
      )
        expect([key, ours.metadata.get(key)]).toEqual([key, value]);
    }
    await ours.close();
    await theirs.close();
  });

  it('is quantized in one step to the same file as in two', async () => {
    const model = await openModel(await whaleFolder(folder().path));
    const between = await openModel(await converted(model, 'F16'));
    for (const preset of ['Q4_K_M', 'Q8_0'] as const) {
      const [once, twice] = [await converted(model, preset), await converted(between, preset)];
      expect(sha256(once)).toBe(sha256(twice));
    }
    await between.close();
    await model.close();
  });

  it('is rejected in one sentence without its config.json', async () => {
    const path = await whaleFolder(folder().path);
    const model = await openModel(new Uint8Array(readFileSync(join(path, 'model.safetensors'))));
    await expect(planModel(model, 'F16')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await model.close();
  });

  it('gets the pre-tokenizer that the recipe names', async () => {
    const model = await openModel(await whaleFolder(folder().path));
    const plan = await planModel(model, { preset: 'F16', preTokenizer: 'smollm' });
    const header = plan.header();
    expect(Buffer.from(header).includes('smollm')).toBe(true);
    plan.free();
    await model.close();
  });
});
