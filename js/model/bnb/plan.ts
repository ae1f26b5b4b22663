/**
 * The plan of a safetensors file whose linear layers are in bitsandbytes' NF4 or FP4, as `transformers` loads it: every size
 * is known from the shapes, so the header is written first here too.
 *
 * ```text
 * copied tensors, those of the largest elements first    so that every one is aligned, as its readers want it
 * for each quantized one:
 *   NAME                                       U8   [ceil(n / 2), 1]  the codes
 *   NAME.absmax                                U8   [blocks]          only with a second level
 *   NAME.quant_state.bitsandbytes__nf4         U8   JSON, and spaces to a multiple of 8
 *   NAME.absmax | NAME.nested_absmax, NAME.nested_quant_map   F32
 *   NAME.quant_map                             F32  [16]
 * ```
 *
 * Source: `QuantState.as_dict(packed=True)` of bitsandbytes 0.50.2, and `Bnb4BitHfQuantizer` of transformers 5.24.
 */

import { expectArray, expectObject, expectText } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { chooseModules, DTYPES, kindOf, type ModuleChoice } from './modules.js';
import type { PlannedTensor } from '../planned.js';
import { readRecipe, type Recipe } from '../recipe.js';
import type { Model, TensorInfo } from '../model.js';
import { call } from '../../engine/wasm.js';

/** The presets whose output is a safetensors file for `transformers`. */
export const FOUR_BIT_PRESETS: readonly string[] = ['NF4', 'FP4'];

/** Weights per block: the only size `transformers` makes. */
export const BLOCK = 64;

/** Absmax per block of the second level. */
export const NESTED_BLOCK = 256;

/** The longest that the digits of an offset can be. */
const LONGEST_NUMBER = 24;

/** What stands after a quantized tensor's codes, in the order of the file. */
export interface FourBitTensor {
  shape: readonly number[];
  dtype: string;
  blocks: number;
  /** Bytes of the JSON with its spaces. */
  stateBytes: number;
}

/** What the engine's plan offers, of this one. */
export interface FourBitPlan {
  preset: string;
  dataType: 'nf4' | 'fp4';
  double: boolean;
  /** The modules that stay as they are, as config.json lists them. */
  skipped: readonly string[];
  size: number;
  /** By the place of a tensor in the plan; nothing for one that is copied. */
  quantized: readonly (FourBitTensor | undefined)[];
  tensors(): PlannedTensor[];
  header(): Uint8Array<ArrayBuffer>;
  further(): [];
  importance(): undefined;
  free(): void;
}

/** Whether a recipe asks for bitsandbytes' formats. */
export function isFourBit({ preset }: Recipe): boolean {
  return typeof preset === 'string' && FOUR_BIT_PRESETS.includes(preset.toUpperCase());
}

/** Plans the conversion of a safetensors model. */
export function planFourBit(model: Model, recipe: Recipe, imatrix: unknown): FourBitPlan {
  const { preset, doubleQuant = false, excludeModules = [], ...others } = recipe;
  const name = preset.toUpperCase();
  expectArray('excludeModules', excludeModules);
  for (const part of excludeModules) expectText('excludeModules', part);
  const [other] = Object.entries(others).find(([, value]) => value !== undefined && value !== false) ?? [];
  if (other !== undefined || imatrix !== undefined) {
    const what = other ?? 'imatrix';
    const message = `${name} does not take ${what}: only doubleQuant and excludeModules`;
    throw new QuantpressError('ARGUMENT', message, { option: what });
  }
  if (model.container !== 'safetensors') {
    const message = `${name} is made of safetensors models, and this is ${model.container}`;
    throw new QuantpressError('UNSUPPORTED', message, { preset: name });
  }
  const quantizedAlready = model.tensors.find((tensor) => tensor.name.includes('.quant_state.bitsandbytes__'));
  if (quantizedAlready) {
    const message = `the model is quantized by bitsandbytes already (tensor '${quantizedAlready.name}')`;
    throw new QuantpressError('ARGUMENT', message, { tensor: quantizedAlready.name });
  }
  const { header } = model;
  if ('refuseCodes' in header) call(() => header.refuseCodes());
  const dataType = name === 'NF4' ? 'nf4' : 'fp4';
  const text = model.files.get('config.json');
  const config = text && parseConfig(text)[0];
  const choice = chooseModules(model.tensors, kindOf(config), excludeModules);
  return lay(model.tensors, { preset: name, dataType, double: doubleQuant === true }, choice);
}

type Kind = Pick<FourBitPlan, 'preset' | 'dataType' | 'double'>;

function lay(all: readonly TensorInfo[], kind: Kind, { whyKept, skipped }: ModuleChoice): FourBitPlan {
  const records = new Map<string, { dtype: string; shape: readonly number[]; data_offsets: [number, number] }>();
  const planned: PlannedTensor[] = [];
  const quantized: (FourBitTensor | undefined)[] = [];
  let at = 0;
  const record = (name: string, dtype: string, shape: readonly number[], bytes: number) => {
    records.set(name, { dtype, shape, data_offsets: [at, at + bytes] });
    at += bytes;
  };
  const decided = all.map((tensor) => ({ tensor, why: whyKept(tensor) }));
  const kept = decided.filter(({ why }) => why !== undefined);
  const elementBytes = ({ tensor }: { tensor: TensorInfo }) => tensor.bytes / count(tensor.shape);
  for (const { tensor, why = '' } of kept.sort((a, b) => elementBytes(b) - elementBytes(a))) {
    planned.push(placed(tensor, tensor.type, why, at, tensor.bytes, tensor.bytes));
    quantized.push(undefined);
    record(tensor.name, tensor.type, written(tensor), tensor.bytes);
  }
  for (const { tensor } of decided.filter(({ why }) => why === undefined)) {
    const start = at;
    const [n, shape] = [count(tensor.shape), written(tensor)];
    const [codes, blocks] = [Math.ceil(n / 2), Math.ceil(n / BLOCK)];
    const dtype = DTYPES[tensor.type] ?? '';
    const codesAndAbsmax = codes + (kind.double ? blocks : 0);
    const longest = LONGEST_STATE + String(shape).length + 2 * shape.length + (kind.double ? LONGEST_NESTED : 0);
    const stateBytes = Math.ceil((at + codesAndAbsmax + longest) / 8) * 8 - at - codesAndAbsmax;
    record(tensor.name, 'U8', [codes, 1], codes);
    if (kind.double) record(`${tensor.name}.absmax`, 'U8', [blocks], blocks);
    record(`${tensor.name}.quant_state.bitsandbytes__${kind.dataType}`, 'U8', [stateBytes], stateBytes);
    if (kind.double) {
      const nested = Math.ceil(blocks / NESTED_BLOCK);
      record(`${tensor.name}.nested_absmax`, 'F32', [nested], 4 * nested);
      record(`${tensor.name}.nested_quant_map`, 'F32', [256], 4 * 256);
    } else {
      record(`${tensor.name}.absmax`, 'F32', [blocks], 4 * blocks);
    }
    record(`${tensor.name}.quant_map`, 'F32', [16], 4 * 16);
    planned.push(placed(tensor, kind.preset, 'a linear layer', start, codes, at - start));
    quantized.push({ shape, dtype, blocks, stateBytes });
  }
  const header = headerOf(records);
  for (const tensor of planned) tensor.targetOffset += header.length;
  return {
    ...kind,
    skipped,
    size: header.length + at,
    quantized,
    tensors: () => planned,
    header: () => header.slice(),
    further: () => [],
    importance: () => undefined,
    free: () => {},
  };
}

/** The JSON of a state without its shape and offset: as long as it can be. */
const LONGEST_STATE = '{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": []}'.length;
const LONGEST_NESTED =
  ', "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": '.length + LONGEST_NUMBER;

/** The extents as the file has them: the row length last, none for a scalar. */
function written(tensor: TensorInfo): number[] {
  return 'dims' in tensor && tensor.dims === 0 ? [] : tensor.shape.toReversed();
}

const count = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

function placed(
  { name, type, shape, offset, bytes }: TensorInfo,
  to: string,
  why: string,
  targetOffset: number,
  targetBytes: number,
  paddedBytes: number,
): PlannedTensor {
  const [rowLength = 1, ...rest] = shape;
  return {
    ...{ name, sourceName: name, from: type, to: to as PlannedTensor['to'], why, shape, rows: count(rest), rowLength },
    ...{ headRows: 0, sourceOffset: offset, sourceBytes: bytes, targetOffset, targetBytes, paddedBytes },
    ...{ needsImportance: false, hasImportance: false },
  };
}

/** Padded so that the data begins at a multiple of 8. */
function headerOf(records: ReadonlyMap<string, unknown>): Uint8Array<ArrayBuffer> {
  const json = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(records) });
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return header;
}

/**
 * The `config.json` that goes beside a model made with the preset `NF4` or `FP4`: the model's own, and what tells
 * `transformers` how the weights are quantized.
 *
 * @throws {@link QuantpressError} `NOT_FOUND` if the model was opened without its `config.json`, `MALFORMED` if that is no
 * JSON object, `ARGUMENT` if it says that the model is quantized already, and what planning throws.
 */
export function fourBitConfig(model: Model, recipe: Recipe): string {
  expectObject('model', model);
  const given = readRecipe('fourBitConfig', recipe);
  if (!(model.files instanceof Map) || !isFourBit(given)) {
    throw new QuantpressError('ARGUMENT', 'a config.json is made of a model, for a recipe of NF4 or FP4', {});
  }
  const text = model.files.get('config.json');
  if (!text) throw new QuantpressError('NOT_FOUND', 'the model was opened without its config.json', {});
  const { dataType, double, skipped } = planFourBit(model, given, undefined);
  const [config, source] = parseConfig(text);
  const quantization_config = {
    ...{ load_in_4bit: true, load_in_8bit: false, _load_in_4bit: true, _load_in_8bit: false },
    ...{ bnb_4bit_compute_dtype: config.dtype ?? config.torch_dtype ?? 'float32', bnb_4bit_quant_storage: 'uint8' },
    ...{ bnb_4bit_quant_type: dataType, bnb_4bit_use_double_quant: double },
    llm_int8_skip_modules: skipped,
    quant_method: 'bitsandbytes',
  };
  const member = JSON.stringify({ quantization_config }, null, 2).slice(1);
  // Set in the text: JavaScript would write 10000.0 as 10000, which Python takes for an integer, and complains.
  const rest = source.trimEnd().slice(0, -1).trimEnd();
  return `${rest}${rest.endsWith('{') ? '' : ','}${member}\n`;
}

function parseConfig(text: Uint8Array): [config: Record<string, unknown>, source: string] {
  let config: unknown;
  const source = new TextDecoder().decode(text);
  try {
    config = JSON.parse(source);
  } catch (cause) {
    throw new QuantpressError('MALFORMED', `config.json is no JSON: ${cause}`, {}, { cause });
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new QuantpressError('MALFORMED', 'config.json is no JSON object', {});
  }
  if ('quantization_config' in config) {
    throw new QuantpressError('ARGUMENT', 'config.json says that the model is quantized already', {});
  }
  return [config as Record<string, unknown>, source];
}
