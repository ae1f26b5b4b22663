/** The states of the playground (www/STATES.md), as plain functions: no browser. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { openModel, init, type Recipe } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { canBePlain, convertedOf, withoutOption } from '../../www/src/open/converted.js';
import { filesOfModel, folderOf, nameOfModel } from '../../www/src/open/files.js';
import { llamaCommand, llamaFolderCommands, outTypeOf, quantpressCommand } from '../../www/src/recipe/command.js';
import { outputName } from '../../www/src/recipe/names.js';
import {
  addressStep,
  consentsOf,
  type Facts,
  firstRecipe,
  mixStep,
  mixStepFor,
  mixWaits,
  obstacleTo,
  recipeFor,
  refusesOpening,
  standingOf,
  withAnotherModel,
} from '../../www/src/state/transitions.js';
import { whyNotRun } from '../../www/src/try/runnable.js';
import { folder } from './support/files.js';
import { goldenFolder } from './support/hugging-face.js';
import { safetensorsFile } from './support/safetensors.js';
import { WHALE } from './support/whale.js';

beforeAll(() => init());

describe('a signal', () => {
  const root = 'www/src';
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name));

  /** The signals that a file imports from the modules of state, each with its owner. */
  function* imported(file: string, text: string): Generator<[name: string, owner: string]> {
    for (const [, names = '', from = ''] of text.matchAll(/import\s+(?:type\s+)?\{([^}]*)\}\s+from\s+'(\.[^']*)'/g)) {
      const owner = relative(root, resolve(root, dirname(file), from));
      if (!/^(state|try)\//.test(owner) || !/\.ts$/.test(owner)) continue;
      const source = readFileSync(join(root, owner), 'utf8');
      for (const name of names.split(',').map((part) => part.trim().replace(/^type /, ''))) {
        if (name && source.includes(`export const ${name} = signal`)) yield [name, owner];
      }
    }
  }

  test('is written only by the module that owns it', () => {
    let read = 0;
    const written: string[] = [];
    for (const file of files) {
      const text = readFileSync(join(root, file), 'utf8');
      for (const [name, owner] of imported(file, text)) {
        read += 1;
        if (new RegExp(`(?<![.\\w])${name}\\.value\\s*=(?!=)`).test(text)) written.push(`${file}: ${name} of ${owner}`);
      }
    }
    expect(written).toEqual([]);
    expect(read).toBeGreaterThan(40);
  });
});

describe('the measuring state', () => {
  const facts: Facts = { open: true, opening: false, obstacle: undefined, measuring: 'running', covered: false };

  test.each<[string, Partial<Facts>, string]>([
    ['the first model is being opened', { open: false, opening: true, measuring: 'idle' }, 'opening'],
    ['the first model could not be opened', { open: false, measuring: 'idle' }, 'none'],
    ['a model is open and nothing is measured yet', { measuring: 'idle' }, 'measuring'],
    ['some tensors have figures', {}, 'measuring'],
    ['all tensors have figures and a later pass is running', { covered: true }, 'measured'],
    ['all tensors have their figures', { covered: true, measuring: 'done' }, 'measured'],
    ['measuring has failed', { measuring: 'failed' }, 'unmeasured'],
    ['a later pass has failed', { measuring: 'failed', covered: true }, 'measured'],
    ['the model cannot be converted', { obstacle: 'It is a part.', measuring: 'idle' }, 'unusable'],
    ['another model is being opened', { opening: true, covered: true, measuring: 'done' }, 'measured'],
  ])('%s', (_, change, expected) => {
    expect(standingOf({ ...facts, ...change })).toBe(expected);
  });
});

describe('a mix', () => {
  test('waits until every tensor is measured, and stops if measuring fails', () => {
    const steps = (['opening', 'measuring', 'measured', 'unmeasured', 'unusable', 'none'] as const).map(mixStep);
    expect(steps).toEqual(['wait', 'wait', 'search', 'give up', 'give up', 'give up']);
    expect(mixWaits('wait', 0.419)).toBe('Still measuring (41%).');
    expect(mixWaits('give up', 0)).toMatch(/without measured errors/);
  });

  test('is not searched if only the largest tensors are measured, and the page says why', () => {
    expect(mixStepFor('measured', true)).toBe('give up');
    expect(mixStepFor('measuring', true)).toBe('give up');
    expect(mixStepFor('measured', false)).toBe('search');
    expect(mixWaits('give up', 0, true)).toMatch(/only the largest are measured/);
  });
});

describe('another model', () => {
  const fallback: Recipe = { preset: 'Q4_K_M' };

  test('keeps preset, rules and options, and drops matrix and consent', () => {
    const rules = [{ pattern: 'attn_v', type: 'Q8_0' }] as const;
    const recipe: Recipe = { preset: 'Q3_K_M', pure: true, tensorTypes: rules, allowRequantize: true };
    const after = withAnotherModel({ recipe, mixRecipe: undefined, imatrix: 'a.imatrix' }, fallback, 'a.gguf');
    expect(after.recipe).toEqual({ preset: 'Q3_K_M', pure: true, tensorTypes: rules });
    expect(after.imatrix).toBeUndefined();
    expect(after.notice).toBe('The importance matrix a.imatrix was removed: made for a.gguf.');
  });

  test('drops the best mix, which depends on the errors of the previous model', () => {
    const recipe: Recipe = { preset: 'Q4_K', tensorTypes: [{ pattern: '^output\\.weight$', type: 'Q8_0' }] };
    const after = withAnotherModel({ recipe, mixRecipe: recipe, imatrix: 'a.imatrix' }, fallback, 'a.gguf');
    expect(after.recipe).toBe(fallback);
    expect(after.notice).toBe('The importance matrix a.imatrix and the best mix were removed: made for a.gguf.');
  });

  test('changes and reports nothing if nothing depends on the previous model', () => {
    const recipe: Recipe = { preset: 'Q6_K' };
    const after = withAnotherModel({ recipe, mixRecipe: undefined, imatrix: undefined }, fallback, 'a.gguf');
    expect(after.recipe).toBe(recipe);
    expect(after.notice).toBeUndefined();
  });

  test('drops the consent to a plain container, unless it came with a link and was not needed yet', () => {
    const recipe: Recipe = { preset: 'Q8_0', pure: true, plain: true };
    const used = withAnotherModel({ recipe, mixRecipe: undefined, imatrix: undefined, plain: true }, fallback, 'a');
    expect(used.recipe).toEqual({ preset: 'Q8_0', pure: true });
    const waiting = withAnotherModel({ recipe, mixRecipe: undefined, imatrix: undefined }, fallback, 'a.gguf');
    expect(waiting.recipe).toBe(recipe);
    const both: Recipe = { preset: 'Q8_0', allowRequantize: true, plain: true };
    const after = withAnotherModel({ recipe: both, mixRecipe: undefined, imatrix: undefined }, fallback, 'a.gguf');
    expect(after.recipe).toEqual({ preset: 'Q8_0', plain: true });
  });

  test('is not opened while a file is being written', () => {
    expect(refusesOpening(true)).toMatch(/being written/);
    expect(refusesOpening(false)).toBeUndefined();
  });
});

describe('a plain container', () => {
  const refused = { obstacle: 'T5ForConditionalGeneration cannot be converted.', plainly: true };
  const plain: Recipe = { preset: 'Q8_0', plain: true };

  test('is written for a model that cannot be converted, on request', () => {
    expect(obstacleTo(refused, { preset: 'Q8_0' } as Recipe)).toBe(refused.obstacle);
    expect(obstacleTo(refused, plain)).toBeUndefined();
    expect(recipeFor(refused, plain)).toBe(plain);
  });

  test('is not written for any other model, whatever a link requests', () => {
    expect(recipeFor({}, plain)).toEqual({ preset: 'Q8_0' });
    expect(recipeFor(undefined, plain)).toEqual({ preset: 'Q8_0' });
    const broken = { obstacle: 'The model has no tensors.' };
    expect(obstacleTo(broken, plain)).toBe(broken.obstacle);
  });

  test('keeps its consent when the preset changes', () => {
    expect(consentsOf(plain)).toEqual({ plain: true });
    expect(consentsOf({ allowRequantize: true })).toEqual({ allowRequantize: true });
    expect(consentsOf({})).toEqual({});
  });

  test('is available for a folder that cannot be converted, and not for GGUF', async () => {
    const path = folder().file('unknown.safetensors');
    writeFileSync(
      path,
      safetensorsFile({ 'some.weight': { dtype: 'F32', shape: [2, 32], data: new Uint8Array(256) } }),
    );
    const model = await openModel(path);
    const refusal = await convertedOf(model).catch((error: Error) => error.message);
    // The page has a checkbox instead of the command line's option.
    expect(refusal).toContain('--plain');
    expect(withoutOption(String(refusal))).toMatch(/request a plain container below$/);
    expect(await canBePlain(model)).toBe(true);
    await model.close();
    const whale = await openModel(WHALE);
    expect(await canBePlain(whale)).toBe(false);
    await whale.close();
  });
});

describe('address and recipe', () => {
  const [old, current] = ['preset=Q4_K_M', 'preset=Q3_K_M'];

  test('a choice is written to the URL, and the initial URL does not undo it', () => {
    expect(addressStep({ query: old, named: true }, old, current)).toBe('write');
    expect(addressStep({ query: current, named: true }, current, current)).toBe('nothing');
  });

  test('a URL without a recipe gets the current recipe', () => {
    expect(addressStep({ query: '', named: false }, current, current)).toBe('write');
  });

  test('a link that is followed is read once', () => {
    const link = 'preset=Q8_0';
    expect(addressStep({ query: link, named: true }, current, current)).toBe('read');
    expect(addressStep({ query: link, named: true }, link, current)).toBe('write');
  });

  test('the page starts with the recipe of its URL, and in another view with the recipe of the tab', () => {
    expect(firstRecipe('', 'address', 'tab', 'default')).toBe('address');
    expect(firstRecipe('', undefined, 'tab', 'default')).toBe('default');
    expect(firstRecipe('blocks', undefined, 'tab', 'default')).toBe('tab');
    expect(firstRecipe('blocks', undefined, undefined, 'default')).toBe('default');
  });
});

describe('the name of a model', () => {
  const at = (webkitRelativePath: string) => ({
    webkitRelativePath,
    name: webkitRelativePath.replace(/^.*\//, ''),
  });
  const hub = ['config.json', 'model-00002-of-00002.safetensors', 'model-00001-of-00002.safetensors', 'tokenizer.json'];

  test("of a Hugging Face folder is the folder's, otherwise the first file's", () => {
    const files = hub.map((name) => at(`SmolLM2-135M/${name}`));
    expect(nameOfModel(files, folderOf(files))).toBe('SmolLM2-135M');
    const loose = hub.map((name) => ({ name, webkitRelativePath: '' }));
    expect(nameOfModel(loose, folderOf(loose))).toBe('model-00001-of-00002.safetensors');
    const shards = ['w-00002-of-00002.gguf', 'w-00001-of-00002.gguf'].map((name) => at(`models/${name}`));
    expect(nameOfModel(shards, folderOf(shards))).toBe('w-00001-of-00002.gguf');
    const single = [at('unet/flux1-dev.safetensors')];
    expect(nameOfModel(single, folderOf(single))).toBe('flux1-dev.safetensors');
    expect(outputName('SmolLM2-135M', { preset: 'Q4_K_M' })).toBe('SmolLM2-135M-Q4_K_M.gguf');
  });

  test('subfolders contribute only the files that conversions read', () => {
    const paths = [
      'm/model.safetensors',
      'm/1_Pooling/config.json',
      'm/additional_chat_templates/tool_use.jinja',
      'm/onnx/model.safetensors',
      'm/onnx/config.json',
    ];
    expect(filesOfModel(paths.map(at)).map((file) => file.webkitRelativePath)).toEqual(paths.slice(0, 3));
  });
});

describe('commands', () => {
  const recipe: Recipe = { preset: 'Q4_K_M', outputTensorType: 'Q6_K' };

  test("for a folder are ours, and llama.cpp's script before llama-quantize", () => {
    const files = { input: 'my model', output: 'my model-Q4_K_M.gguf', imatrix: 'm.imatrix' };
    expect(quantpressCommand(recipe, files)).toBe(
      "npx quantpress quantize --imatrix m.imatrix --output-tensor-type Q6_K 'my model' 'my model-Q4_K_M.gguf' Q4_K_M",
    );
    expect(llamaFolderCommands(recipe, files, 'bf16')).toBe(
      "python convert_hf_to_gguf.py 'my model' --outtype bf16 --outfile 'my model-bf16.gguf'\n" +
        "llama-quantize --imatrix m.imatrix --output-tensor-type Q6_K 'my model-bf16.gguf' 'my model-Q4_K_M.gguf' Q4_K_M",
    );
    expect(llamaFolderCommands({ preset: 'F16' }, { input: 'm', output: 'm-F16.gguf' }, 'f32')).toBe(
      'python convert_hf_to_gguf.py m --outtype f16 --outfile m-F16.gguf',
    );
    expect(llamaCommand(recipe, { input: 'm.gguf', output: 'n.gguf' })).toBe(
      'llama-quantize --output-tensor-type Q6_K m.gguf n.gguf Q4_K_M',
    );
  });

  test('have --plain if the recipe does', () => {
    const files = { input: 't5', output: 't5-Q8_0.gguf' };
    expect(quantpressCommand({ preset: 'Q8_0', plain: true }, files)).toBe(
      'npx quantpress quantize --plain t5 t5-Q8_0.gguf Q8_0',
    );
    expect(llamaCommand({ preset: 'Q8_0', plain: true }, files)).toBe('llama-quantize t5 t5-Q8_0.gguf Q8_0');
  });

  test('do not round twice: the script keeps the type that all weights have, or F32', () => {
    const of = (...types: string[]) => outTypeOf(types.map((type) => ({ type, shape: [32, 4] })));
    expect([of('BF16', 'BF16'), of('F16'), of('F16', 'BF16'), of('F32')]).toEqual(['bf16', 'f16', 'f32', 'f32']);
    expect(
      outTypeOf([
        { type: 'F16', shape: [32, 4] },
        { type: 'F32', shape: [32] },
      ]),
    ).toBe('f16');
  });
});

describe('what can be run', () => {
  const asGguf = async (name: string) => {
    const model = await openModel(name === WHALE ? WHALE : goldenFolder(folder().path, name));
    const { metadata, size } = await convertedOf(model);
    await model.close();
    return { metadata, size };
  };

  test('is every family that generates text; for others the page says why not', async () => {
    const here = { from: 'disk' };
    for (const name of [WHALE, 'llama-3', 'qwen3', 'mistral-pieces', 'Qwen2.5-0.5B-Instruct']) {
      expect(whyNotRun({ ...here, asGguf: await asGguf(name) }), name).toBeUndefined();
    }
    for (const name of ['mini-bert-L2-v1', 'masked-bert', 'ranker']) {
      expect(whyNotRun({ ...here, asGguf: await asGguf(name) }), name).toMatch(/embeddings or scores/);
    }
    const whale = await asGguf(WHALE);
    expect(whyNotRun({ from: 'network', asGguf: whale })).toMatch(/Download it/);
    expect(whyNotRun({ ...here, asGguf: { ...whale, size: 2 ** 31 } })).toMatch(/larger than the 2 GB/);
    expect(whyNotRun({ ...here, asGguf: { ...whale, metadata: new Map() } })).toMatch(/not a language model/);
    expect(whyNotRun({ ...here, obstacle: 'It is a part.' })).toMatch(/cannot be converted/);
    expect(whyNotRun({ ...here, plain: true })).toMatch(/No program can run a plain container/);
  });
});
