/**
 * Models that were once silently converted into something no program can run: rejected, or converted on request with a
 * note.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bnbConfig,
  init,
  MemoryTarget,
  openModel,
  planModel,
  quantizeModel,
  verifyModel,
  type Model,
  type PresetName,
  type Recipe,
} from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { quantpress } from './support/cli.js';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { safetensorsFile } from './support/safetensors.js';
import { matches } from './support/transformers.js';

beforeAll(() => init());

const GOLDEN = join(import.meta.dirname, '../golden');
const CASE = join(import.meta.dirname, '../fixtures/cases/qwen2-own-tokenizer');
const bf16 = (...shape: number[]) => {
  const data = new Uint8Array(2 * shape.reduce((product, n) => product * n, 1));
  return { dtype: 'BF16', shape, data: data.map((_, at) => (at % 2 === 0 ? (at * 7) % 251 : 0x3c)) };
};
const fp8 = (...shape: number[]) => ({
  dtype: 'F8_E4M3',
  shape,
  data: new Uint8Array(shape.reduce((product, n) => product * n, 1)).fill(0x38),
});

type Tensors = Parameters<typeof safetensorsFile>[0];

const T5: Tensors = {
  'shared.weight': bf16(300, 32),
  'encoder.block.0.layer.0.SelfAttention.q.weight': bf16(32, 32),
  'encoder.block.0.layer.0.layer_norm.weight': bf16(32),
  'encoder.block.0.layer.1.DenseReluDense.wi.weight': bf16(64, 32),
  'encoder.block.0.layer.1.DenseReluDense.wo.weight': bf16(32, 64),
};
const T5_CONFIG = { architectures: ['T5ForConditionalGeneration'], model_type: 't5' };
const WHISPER: Tensors = {
  'model.encoder.conv1.weight': bf16(32, 80, 3),
  'model.encoder.layers.0.self_attn.q_proj.weight': bf16(32, 32),
  'model.decoder.embed_tokens.weight': bf16(300, 32),
};
const WHISPER_CONFIG = { architectures: ['WhisperForConditionalGeneration'], model_type: 'whisper' };

function files(tensors: Tensors, config?: object): File[] {
  const model = new File([new Uint8Array(safetensorsFile(tensors))], 'model.safetensors');
  return config ? [model, new File([JSON.stringify(config)], 'config.json')] : [model];
}

async function open(input: Parameters<typeof openModel>[0]): Promise<Model> {
  const model = await openModel(input);
  onTestFinished(() => model.close());
  return model;
}

describe('the command line', () => {
  test('rejects a folder by its class, writes nothing, and writes a plain container only on request', async () => {
    const place = folder();
    mkdirSync(place.file('flan-t5'));
    writeFileSync(place.file('flan-t5/model.safetensors'), safetensorsFile(T5));
    writeFileSync(place.file('flan-t5/config.json'), JSON.stringify(T5_CONFIG));
    const args = [place.file('flan-t5'), place.file('out.gguf'), 'Q8_0'];
    const refused = await quantpress(['quantize', ...args]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(
      "flan-t5/config.json: T5ForConditionalGeneration cannot be converted. Convert it with llama.cpp's convert_hf_to_gguf.py and quantize that GGUF.",
    );
    expect(place.names()).toEqual(['flan-t5']);
    const dry = await quantpress(['quantize', '--dry-run', '--plain', ...args]);
    expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining('No program can run it')]);
    const made = await quantpress(['quantize', '--plain', '--report', place.file('report.json'), ...args]);
    expect([made.code, made.stdout]).toEqual([0, expect.stringContaining('A plain container')]);
    expect(JSON.parse(readFileSync(place.file('report.json'), 'utf8'))).toMatchObject({ plain: true });
    const model = await open(place.file('out.gguf'));
    expect(model.metadata.get('general.architecture')).toEqual({ type: 'string', value: 'plain' });
  });

  test('reports names that llama.cpp cannot read in inspect and verify', async () => {
    const name = `blk.0.${'x'.repeat(67)}.weight`;
    const long = folder();
    writeFileSync(long.file('long.gguf'), gguf(LLAMA, [floats(name, [32], wave)]));
    const said = `tensor '${name}': its name has 80 bytes, but llama.cpp reads at most 63`;
    const [inspected, verified, asJson, refused] = [
      await quantpress(['inspect', long.file('long.gguf')]),
      await quantpress(['verify', long.file('long.gguf')]),
      await quantpress(['inspect', '--json', long.file('long.gguf')]),
      await quantpress(['quantize', long.file('long.gguf'), long.file('out.gguf'), 'Q8_0']),
    ];
    expect([inspected.code, inspected.stdout]).toEqual([0, expect.stringContaining(said)]);
    expect([verified.code, verified.stdout]).toEqual([1, expect.stringContaining(said)]);
    expect(JSON.parse(asJson.stdout).problems).toEqual([
      { tensor: name, message: expect.stringContaining('80 bytes') },
    ]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('80 bytes')]);
    expect(long.names()).toEqual(['long.gguf']);
  });
});

describe('the API', () => {
  test.each([
    ['a class that is not converted', files(T5, T5_CONFIG), 'T5ForConditionalGeneration cannot be converted'],
    ['Whisper', files(WHISPER, WHISPER_CONFIG), 'whisper.cpp'],
    ['a LoRA', files({ 'lora_unet_x.lora_down.weight': bf16(4, 64) }), 'a LoRA adapter'],
    ['a VAE', files({ 'decoder.mid.block_1.conv1.weight': bf16(8, 8, 3, 3) }), 'a VAE'],
    [
      'scaled FP8',
      files({
        'double_blocks.0.img_attn.proj.weight': fp8(64, 64),
        'double_blocks.0.img_attn.proj.scale_weight': { dtype: 'F32', shape: [1], data: new Uint8Array(4).fill(0x3c) },
        scaled_fp8: fp8(2),
      }),
      'scale_weight',
    ],
  ])('rejects %s', async (_, input, says) => {
    const model = await open(input);
    for (const preset of ['F16', 'Q4_K_M'] as const) {
      expect(await failure(planModel(model, preset))).toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringContaining(says),
      });
    }
  });

  test('strips the prefix of a diffusion model', async () => {
    const stem = 'double_blocks.0.img_attn';
    const model = await open(
      files({
        [`diffusion_model.${stem}.proj.weight`]: bf16(64, 64),
        [`diffusion_model.${stem}.norm.key_norm.scale`]: bf16(64),
      }),
    );
    const target = new MemoryTarget();
    const report = await quantizeModel(model, target, 'Q8_0', { workers: 0 });
    expect(report.plain).toBeUndefined();
    const made = await open(target.bytes as Uint8Array<ArrayBuffer>);
    expect(made.metadata.get('general.architecture')).toEqual({ type: 'string', value: 'flux' });
    expect(made.tensors.map(({ name }) => name).sort()).toEqual([`${stem}.norm.key_norm.scale`, `${stem}.proj.weight`]);
    expect((await verifyModel(made)).problems).toEqual([]);
  });

  test('writes no plain container from a GGUF model', async () => {
    const model = await open(gguf(LLAMA, [floats('a.weight', [32], wave)]));
    expect(await failure(planModel(model, { preset: 'Q8_0', plain: true }))).toMatchObject({ code: 'ARGUMENT' });
  });

  test("converts a folder whose tokenizer class transformers forces to the same file as llama.cpp's script", async () => {
    const model = await open(CASE);
    for (const line of readFileSync(join(CASE, 'sha256.txt'), 'utf8').trim().split('\n')) {
      const [preset, sum, size] = line.split(' ') as [PresetName, string, string];
      const target = new MemoryTarget();
      await quantizeModel(model, target, preset, { workers: 0 });
      const made = target.bytes as Uint8Array<ArrayBuffer>;
      expect([preset, sha256(made), String(made.length)]).toEqual([preset, sum, size]);
      expect(Buffer.from(made).includes('<|endoftext|>')).toBe(true);
      expect(Buffer.from(made).includes('[PAD290]')).toBe(false);
    }
  });
});

/** The layers that transformers would make 4-bit with our configuration. */
function loaded(model: Model, recipe: Recipe) {
  const config = JSON.parse(bnbConfig(model, recipe)) as {
    quantization_config: { llm_int8_skip_modules: string[] };
  };
  return config.quantization_config.llm_int8_skip_modules;
}

const quantized = async (model: Model, recipe: Recipe): Promise<string[]> => {
  const plan = await planModel(model, recipe);
  return plan.tensors.filter(({ to }) => String(to) === 'NF4').map(({ name }) => name.replace(/\.weight$/, ''));
};

describe('NF4 of classes that do not become GGUF', () => {
  test('keeps the modules of T5 that transformers keeps in F32', async () => {
    const model = await open(files(T5, T5_CONFIG));
    expect(await quantized(model, { preset: 'NF4' })).toEqual([
      'encoder.block.0.layer.0.SelfAttention.q',
      'encoder.block.0.layer.1.DenseReluDense.wi',
    ]);
    expect(loaded(model, { preset: 'NF4' })).toContain('encoder.block.0.layer.1.DenseReluDense.wo');
  });

  test('skips the output of Whisper, which has no tensor of its own', async () => {
    const model = await open(files(WHISPER, WHISPER_CONFIG));
    expect(await quantized(model, { preset: 'NF4' })).toEqual(['model.encoder.layers.0.self_attn.q_proj']);
    expect(loaded(model, { preset: 'NF4' })).toContain('proj_out');
  });

  test('skips a layer whose type is not quantized', async () => {
    const q = 'model.layers.0.self_attn.q_proj';
    const double = { dtype: 'F64', shape: [2, 2], data: new Uint8Array(32) };
    const tensors = { [`${q}.weight`]: double, 'model.layers.0.mlp.up_proj.weight': bf16(2, 2) };
    const model = await open(files(tensors, { architectures: ['LlamaForCausalLM'], model_type: 'llama' }));
    expect(await quantized(model, { preset: 'NF4' })).toEqual(['model.layers.0.mlp.up_proj']);
    expect(loaded(model, { preset: 'NF4' })).toContain(q);
  });

  test('refuses eight-bit floats, which transformers would not decode', async () => {
    const model = await open(files({ ...T5, 'lm_head.weight': fp8(300, 32) }, T5_CONFIG));
    expect(await failure(planModel(model, 'NF4'))).toMatchObject({ code: 'UNSUPPORTED' });
  });

  test('keeps modules whose names merely end with an excluded name', async () => {
    const attention = 'model.layers.0.self_attn';
    const model = await open(
      files({
        'mlp.weight': bf16(8, 64),
        'model.layers.0.gated_mlp.weight': bf16(8, 64),
        [`${attention}.q_proj.weight`]: bf16(8, 64),
      }),
    );
    const recipe: Recipe = { preset: 'NF4', excludeModules: ['mlp'] };
    const names = await quantized(model, recipe);
    // transformers also matches a module whose name only ends in `mlp`.
    expect(names).toEqual([`${attention}.q_proj`]);
  });

  /** Linear layers for which our rule differs from transformers: the output layers of unusual models. */
  const KNOWN = [
    'Gemma4UnifiedAssistantForCausalLM post_projection',
    'GraniteSpeech5ForCTC encoder.out',
    'GraniteSpeech5ForCTC ctc_head',
    'MobileBertForMaskedLM cls.predictions.dense',
    'NemotronH_Omni_Reasoning_V3 language_model.lm_head',
    'SplinterForPreTraining splinter_qass.end_classifier',
  ];

  test('quantizes in every class the modules that transformers quantizes and expects', async () => {
    const lines = readFileSync(join(GOLDEN, 'fourbit/skips.txt'), 'utf8').trim().split('\n');
    const different: string[] = [];
    let compared = 0;
    for (const line of lines) {
      const [named = '', type = '', keep = '', outputs = '', ...rows] = line.split(' ');
      const inF32 = keep === '-' ? [] : keep.split(',');
      // Those are experts, embeddings or transposed: kept or rejected for another reason.
      const linears = rows.filter((row) => !/embed|norm|router|expert|\.gate[~!]*$|c_attn|c_fc|c_proj/.test(row));
      const tensors: Tensors = { 'z.weight': bf16(1, 1) };
      for (const row of linears) {
        const name = row.replace(/[~!]+$/, '');
        tensors[`${name}.weight`] = bf16(2, 2);
        if (row.includes('~')) tensors[`${name}.bias`] = bf16(2);
      }
      const model = await openModel(files(tensors, { architectures: [named], model_type: type }));
      const [ours, list] = [await quantized(model, { preset: 'NF4' }), loaded(model, { preset: 'NF4' })];
      for (const row of linears) {
        const name = row.replace(/[~!]+$/, '');
        if (ours.includes(name) === row.includes('!')) different.push(`${named} ${name}`);
        // A loaded layer is 4-bit if and only if its weights are.
        expect([named, name, ours.includes(name)]).toEqual([named, name, !matches(name, [...list, ...inF32])]);
        compared += 1;
      }
      for (const output of outputs === '-' ? [] : outputs.split(',')) {
        if (!/embed_tokens$|^lm_heads$/.test(output))
          expect([named, output, matches(output, list)]).toEqual([named, output, true]);
      }
      await model.close();
    }
    expect(different).toEqual(KNOWN);
    expect([lines.length, compared > 2000]).toEqual([633, true]);
  });
});

test('every test folder is compared', () => {
  expect(readdirSync(CASE).sort()).toEqual([
    'config.json',
    'model.safetensors',
    'sha256.txt',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
});
