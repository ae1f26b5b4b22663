/** Every command and call that writes files, with the files it reads and writes: for tests that its inputs survive. */

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { open as openHandle } from 'node:fs/promises';
import { openModel, quantizeModel } from 'quantpress';
import { imatrix } from '../../../dist/cli/imatrix.js';
import { quantize } from '../../../dist/cli/quantize.js';
import { verify } from '../../../dist/cli/verify.js';
import { type folder, sha256 } from './files.js';
import { floats, gguf, LLAMA, wave } from './gguf.js';
import { ggufSplit, shardName } from './gguf-split.js';
import { safetensorsFile } from './safetensors.js';
import { WHALE_IMATRIX } from './whale.js';

export const SMALL = gguf(LLAMA, [
  floats('blk.0.a.weight', [64, 4], wave),
  floats('blk.0.b.weight', [64, 4], (index) => wave(index + 7)),
  floats('blk.1.c.weight', [64, 4], (index) => wave(index + 9)),
]);
export const SHARDS = ggufSplit(SMALL, { maxTensors: 1 });
export const shard = (index: number) => shardName('in', index, 3);
const tensor = (shape: number[]) => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, index) => wave(index));
  return { dtype: 'F32', shape, data: new Uint8Array(data.buffer) };
};
const LINEAR = 'model.layers.0.mlp.up_proj.weight';
const NORM = 'model.norm.weight';
const CONFIG = JSON.stringify({ architectures: ['LlamaForCausalLM'], model_type: 'llama', torch_dtype: 'float32' });

export type Place = ReturnType<typeof folder>;
export const NO_SIGNAL = new AbortController().signal;

/** A file that a job writes. */
export interface Output {
  role: string;
  /** The file, which does not exist yet. */
  file: string;
  /** The command's argument for it. */
  given?: string;
  /** Whether the argument is the file's path, so that another spelling of it can be passed. */
  free?: boolean;
}

interface Job {
  title: string;
  make(place: Place): void;
  reads: Record<string, string>;
  outputs: Output[];
  /** Runs it: `given` is the argument for the output under test; the other outputs do not conflict. */
  run(place: Place, output: Output, given: string): Promise<unknown>;
}

export const makeSmall = (place: Place) => {
  writeFileSync(place.file('in.gguf'), SMALL);
  copyFileSync(WHALE_IMATRIX, place.file('imatrix.gguf'));
  writeFileSync(place.file('types'), 'b.weight=q8_0');
};
export const makeShards = (place: Place) => {
  for (const [index, bytes] of SHARDS.entries()) writeFileSync(place.file(shard(index)), bytes);
};
export const makeFolder = (place: Place) => {
  mkdirSync(place.file('hf'));
  writeFileSync(
    place.file('hf/model.safetensors'),
    safetensorsFile({ [LINEAR]: tensor([8, 64]), [NORM]: tensor([64]) }),
  );
  writeFileSync(place.file('hf/config.json'), CONFIG);
  writeFileSync(place.file('hf/tokenizer.json'), '{"version": "1.0"}');
  writeFileSync(place.file('hf/README.md'), '# Model');
};
const INDEXED = { [LINEAR]: 'model-00001-of-00002.safetensors', [NORM]: 'model-00002-of-00002.safetensors' };
export const makeIndexed = (place: Place) => {
  mkdirSync(place.file('hf'));
  writeFileSync(place.file(`hf/${INDEXED[LINEAR]}`), safetensorsFile({ [LINEAR]: tensor([8, 64]) }));
  writeFileSync(place.file(`hf/${INDEXED[NORM]}`), safetensorsFile({ [NORM]: tensor([64]) }));
  writeFileSync(place.file('hf/model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: INDEXED }));
  writeFileSync(place.file('hf/config.json'), CONFIG);
};

/** `quantpress quantize IN OUT PRESET`, with OUT, --manifest or --report under test. */
const command = (input: string, output: string, preset: string[], ...options: string[]): Job['run'] => {
  return (place, { role }, given) => {
    const free = role === '--manifest' || role === '--report';
    const out = free ? place.file(output) : given;
    return quantize(
      [...(free ? [role, given] : []), ...options.map(at(place)), '--quiet', place.file(input), out, ...preset],
      NO_SIGNAL,
    );
  };
};
/** Options that name files have an @ before the name. */
const at = (place: Place) => (option: string) => (option.startsWith('@') ? place.file(option.slice(1)) : option);

const BESIDE: Output[] = [
  { role: '--manifest', file: 'new.json', free: true },
  { role: '--report', file: 'new.json', free: true },
];
const OUT: Output = { role: 'OUT', file: 'new.gguf', free: true };
const outShards = (count: number): Output[] =>
  Array.from({ length: count }, (_, index) => ({
    role: 'OUT',
    file: shardName('new', index, count),
    given: 'new.gguf',
  }));
const outFolder = (...names: string[]): Output[] =>
  names.map((name) => ({ role: 'OUT', file: `new/${name}`, given: 'new' }));

export const JOBS: Job[] = [
  {
    title: 'quantize IN OUT',
    make: makeSmall,
    reads: { 'in.gguf': 'IN', 'imatrix.gguf': '--imatrix', types: '--tensor-type-file' },
    outputs: [OUT, ...BESIDE],
    run: command('in.gguf', 'other.gguf', ['Q8_0'], '--imatrix', '@imatrix.gguf', '--tensor-type-file', '@types'),
  },
  {
    title: 'quantize --target-bpw',
    make: makeSmall,
    reads: { 'in.gguf': 'IN', 'imatrix.gguf': '--imatrix', types: '--tensor-type-file' },
    outputs: [OUT, ...BESIDE],
    run: command(
      'in.gguf',
      'other.gguf',
      [],
      '--target-bpw',
      '8.5',
      '--imatrix',
      '@imatrix.gguf',
      '--tensor-type-file',
      '@types',
    ),
  },
  {
    title: 'quantize --split-max-size',
    make: makeSmall,
    reads: { 'in.gguf': 'IN' },
    outputs: [...outShards(3), ...BESIDE],
    run: command('in.gguf', 'other.gguf', ['Q8_0'], '--split-max-size', '300'),
  },
  {
    title: 'quantize --keep-split',
    make: makeShards,
    reads: Object.fromEntries([0, 1, 2].map((index) => [shard(index), 'IN'])),
    outputs: [...outShards(3), ...BESIDE],
    run: command(shard(0), 'other.gguf', ['Q8_0'], '--keep-split'),
  },
  {
    title: 'quantize FOLDER NF4',
    make: makeFolder,
    reads: Object.fromEntries(
      ['model.safetensors', 'config.json', 'tokenizer.json', 'README.md'].map((name) => [`hf/${name}`, 'IN']),
    ),
    outputs: [...outFolder('model.safetensors', 'config.json', 'tokenizer.json', 'README.md'), ...BESIDE],
    run: command('hf', 'other', ['NF4']),
  },
  {
    title: 'quantize INDEX FP4',
    make: makeIndexed,
    reads: Object.fromEntries(
      [...Object.values(INDEXED), 'model.safetensors.index.json', 'config.json'].map((name) => [`hf/${name}`, 'IN']),
    ),
    outputs: [...outFolder('model.safetensors', 'config.json'), ...BESIDE],
    run: command('hf/model.safetensors.index.json', 'other', ['FP4']),
  },
  {
    title: 'imatrix MODEL TEXT OUT',
    make: (place) => {
      makeSmall(place);
      writeFileSync(place.file('text'), 'one two three');
    },
    reads: { 'in.gguf': 'MODEL', text: 'TEXT' },
    outputs: [OUT],
    run: (place, _, given) => imatrix(['--quiet', place.file('in.gguf'), place.file('text'), given], NO_SIGNAL),
  },
  {
    title: 'verify --write',
    make: (place) => {
      makeSmall(place);
      writeFileSync(place.file('sums'), `${sha256(SMALL)}  in.gguf\n`);
    },
    reads: { 'in.gguf': 'FILE', sums: 'the manifest' },
    outputs: [{ role: '--write', file: 'new.json', free: true }],
    run: (place, _, given) =>
      verify(['--quiet', '--manifest', place.file('sums'), '--write', given, place.file('in.gguf')], NO_SIGNAL),
  },
  {
    title: 'verify --write of a model in shards',
    make: makeShards,
    reads: Object.fromEntries([0, 1, 2].map((index) => [shard(index), 'FILE'])),
    outputs: [{ role: '--write', file: 'new.json', free: true }],
    run: (place, _, given) => verify(['--quiet', '--write', given, place.file(shard(0))], NO_SIGNAL),
  },
  {
    title: 'quantizeModel',
    make: makeSmall,
    reads: { 'in.gguf': 'the model', 'imatrix.gguf': 'the importance matrix' },
    outputs: [{ role: 'the target', file: 'new.gguf', free: true }],
    run: async (place, _, given) => {
      await using model = await openModel(place.file('in.gguf'));
      await quantizeModel(model, given, 'Q8_0', { imatrix: place.file('imatrix.gguf'), workers: 0 });
    },
  },
  {
    title: 'quantizeModel with resume',
    make: makeSmall,
    reads: { 'in.gguf': 'the model' },
    outputs: [{ role: 'the target', file: 'new.gguf', free: true }],
    run: async (place, _, given) => {
      await using model = await openModel(place.file('in.gguf'));
      await quantizeModel(model, given, 'Q8_0', { resume: true, workers: 0 });
    },
  },
  {
    title: 'quantizeModel of a FileHandle',
    make: makeSmall,
    reads: { 'in.gguf': 'the model' },
    outputs: [{ role: 'the target', file: 'new.gguf', free: true }],
    run: async (place, _, given) => {
      await using handle = await openHandle(place.file('in.gguf'), 'r');
      await using model = await openModel(handle);
      await quantizeModel(model, given, 'Q8_0', { workers: 0 });
    },
  },
  {
    title: 'quantizeModel with a function of targets',
    make: makeShards,
    reads: Object.fromEntries([0, 1, 2].map((index) => [shard(index), 'the model'])),
    outputs: [1, 2].map((index) => ({ role: 'the target', file: `shard-${index}`, given: 'shard-' })),
    run: async (place, _, given) => {
      await using model = await openModel([0, 1, 2].map((index) => place.file(shard(index))));
      await quantizeModel(
        model,
        ({ index }) => `${given}${index}`,
        { preset: 'Q8_0', keepSplit: true },
        { workers: 0 },
      );
    },
  },
  {
    title: 'quantizeModel to NF4',
    make: makeFolder,
    reads: Object.fromEntries(
      ['model.safetensors', 'config.json', 'tokenizer.json', 'README.md'].map((name) => [`hf/${name}`, 'the model']),
    ),
    outputs: [{ role: 'the target', file: 'new.safetensors', free: true }],
    run: async (place, _, given) => {
      await using model = await openModel(place.file('hf'));
      await quantizeModel(model, given, 'NF4', { workers: 0 });
    },
  },
];
