/** Parses command lines: arguments in, a request out, or a usage error. */

import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { MixTarget } from '../model/best-mix/best-mix.js';
import { readSize } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import type { Format, FormatName } from '../numerics/format.js';
import { BNB_PRESETS, isBnb } from '../model/recipe.js';
import type { Preset, Recipe } from '../model/plan.js';
import { nearest } from '../engine/nearest.js';
import type { UrlOptions } from '../io/source/url-options.js';

/** A wrong command line: exit code 2. */
export class UsageError extends Error {
  constructor(
    message: string,
    /** The hint to the help of the command. */
    readonly help: string,
  ) {
    super(message);
  }
}

/** How often and how long a model at a URL is tried. */
export type UrlLimits = Pick<UrlOptions, 'attempts' | 'maxWait' | 'idleTimeout'>;

/** The options for models at URLs, of every command. */
const URL_LIMITS = {
  attempts: { type: 'string' },
  'idle-timeout': { type: 'string' },
  'max-wait': { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

function readUrlLimits(values: { [K in keyof typeof URL_LIMITS]?: string | undefined }, help: string): UrlLimits {
  const { attempts } = values;
  if (attempts !== undefined && !/^[1-9]\d{0,3}$/.test(attempts)) {
    throw new UsageError(`--attempts is '${attempts}', and must be a whole number from 1 to 9999`, help);
  }
  return {
    attempts: attempts === undefined ? undefined : Number(attempts),
    idleTimeout: readSeconds('--idle-timeout', values['idle-timeout'], help),
    maxWait: readSeconds('--max-wait', values['max-wait'], help),
  };
}

/** A time in seconds, or `none` for no limit; returned in milliseconds. */
function readSeconds(name: string, text: string | undefined, help: string): number | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return Number.POSITIVE_INFINITY;
  const milliseconds = /^\d{1,7}(\.\d{1,3})?$/.test(text) ? 1000 * Number(text) : 0;
  if (milliseconds >= 1) return milliseconds;
  throw new UsageError(`${name} is '${text}', and must be a number of seconds above 0, or none`, help);
}

/** The parsed arguments of `quantpress quantize`. */
export interface QuantizeRequest {
  input: string;
  output: string;
  /** The preset, or the size that the best mix must fit in. */
  preset: Recipe['preset'] | undefined;
  target: MixTarget | undefined;
  options: Omit<Recipe, 'preset'>;
  imatrix: string | undefined;
  tensorTypeFile: string | undefined;
  threads: number | undefined;
  url: UrlLimits;
  report: string | undefined;
  manifest: string | undefined;
  resume: boolean;
  dryRun: boolean;
  quiet: boolean;
}

const TRY_HELP = "Run 'quantpress quantize --help' for the options.";

const QUANTIZE_OPTIONS = {
  ...URL_LIMITS,
  'allow-requantize': { type: 'boolean' },
  'double-quant': { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  'exclude-module': { type: 'string', multiple: true },
  'exclude-weights': { type: 'string', multiple: true },
  imatrix: { type: 'string' },
  'include-weights': { type: 'string', multiple: true },
  'keep-split': { type: 'boolean' },
  'leave-output-tensor': { type: 'boolean' },
  manifest: { type: 'string' },
  'output-tensor-type': { type: 'string' },
  'override-kv': { type: 'string', multiple: true },
  plain: { type: 'boolean' },
  'pre-tokenizer': { type: 'string' },
  'prune-layers': { type: 'string' },
  pure: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  report: { type: 'string' },
  resume: { type: 'boolean' },
  'split-max-size': { type: 'string' },
  'target-bpw': { type: 'string' },
  'target-size': { type: 'string' },
  'tensor-type': { type: 'string', multiple: true },
  'tensor-type-file': { type: 'string' },
  threads: { type: 'string' },
  'token-embedding-type': { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

/** Reads the arguments of `quantize`. */
export function readQuantize(args: string[], presets: readonly Preset[]): QuantizeRequest {
  const { values, positionals } = read(args, QUANTIZE_OPTIONS, TRY_HELP);
  const target = readTarget(values['target-size'], values['target-bpw']);
  const places = target ? readPlacesOfMix(positionals, presets) : readPlaces(positionals, presets);
  const { input, output, preset, threads } = places;
  if (values['include-weights'] && values['exclude-weights']) {
    throw new UsageError('--include-weights and --exclude-weights cannot be used together', TRY_HELP);
  }
  if (values['keep-split'] && values['split-max-size'] !== undefined) {
    throw new UsageError('--keep-split and --split-max-size cannot be used together', TRY_HELP);
  }
  if (target && values.pure) throw new UsageError('--pure and a target cannot be used together', TRY_HELP);
  return {
    input,
    output,
    preset,
    target,
    options: {
      ...given('pure', values.pure),
      ...given('leaveOutputTensor', values['leave-output-tensor']),
      ...given('outputTensorType', values['output-tensor-type'] as FormatName | undefined),
      ...given('tokenEmbeddingType', values['token-embedding-type'] as FormatName | undefined),
      ...given('tensorTypes', values['tensor-type']?.map(readTensorType)),
      ...given('allowRequantize', values['allow-requantize']),
      ...given('includeWeights', values['include-weights']),
      ...given('excludeWeights', values['exclude-weights']),
      ...given('overrideKv', values['override-kv']),
      ...given('doubleQuant', values['double-quant']),
      ...given('excludeModules', values['exclude-module']),
      ...given('keepSplit', values['keep-split']),
      ...given('splitMaxSize', values['split-max-size']),
      ...given('preTokenizer', values['pre-tokenizer']),
      ...given('plain', values.plain),
      ...given('pruneLayers', values['prune-layers']?.split(',').map(readLayer)),
    },
    imatrix: values.imatrix,
    tensorTypeFile: values['tensor-type-file'],
    threads: readThreads(values.threads ?? threads),
    url: readUrlLimits(values, TRY_HELP),
    report: values.report,
    manifest: values.manifest,
    resume: values.resume ?? false,
    dryRun: values['dry-run'] ?? false,
    quiet: values.quiet ?? false,
  };
}

/** Reads the arguments of `inspect`. */
export function readInspect(args: string[]) {
  const help = "Run 'quantpress inspect --help' for help.";
  const { values, positionals } = read(
    args,
    { ...URL_LIMITS, all: { type: 'boolean' }, json: { type: 'boolean' } },
    help,
  );
  const [file, ...others] = positionals;
  if (file === undefined) throw new UsageError('inspect needs a FILE', help);
  if (others.length > 0) throw new UsageError(`inspect takes only one FILE; '${others[0]}' is a second`, help);
  return { file, json: values.json === true, all: values.all === true, url: readUrlLimits(values, help) };
}

/** Reads the arguments of `verify`. */
export function readVerify(args: string[]) {
  const help = "Run 'quantpress verify --help' for help.";
  const options = {
    ...URL_LIMITS,
    manifest: { type: 'string' },
    quiet: { type: 'boolean', short: 'q' },
    write: { type: 'string' },
  } as const;
  const { values, positionals } = read(args, options, help);
  const [file, ...others] = positionals;
  if (file === undefined) throw new UsageError('verify needs a FILE', help);
  if (others.length > 0) throw new UsageError(`verify takes only one FILE; '${others[0]}' is a second`, help);
  const url = readUrlLimits(values, help);
  return { file, manifest: values.manifest, write: values.write, quiet: values.quiet === true, url };
}

/** Reads the arguments of `analyze`. */
export function readAnalyze(args: string[], formats: readonly Format[]) {
  const help = "Run 'quantpress analyze --help' for help.";
  const options = {
    ...URL_LIMITS,
    formats: { type: 'string' },
    imatrix: { type: 'string' },
    json: { type: 'boolean' },
    quiet: { type: 'boolean', short: 'q' },
    sample: { type: 'string' },
    threads: { type: 'string' },
  } as const;
  const { values, positionals } = read(args, options, help);
  const [file, ...others] = positionals;
  if (file === undefined) throw new UsageError('analyze needs a FILE', help);
  if (others.length > 0) throw new UsageError(`analyze takes only one FILE; '${others[0]}' is a second`, help);
  return {
    file,
    formats: values.formats?.split(',').map((name) => readFormat(name, formats)),
    imatrix: values.imatrix,
    sample: readSample(values.sample, help),
    threads: readThreads(values.threads),
    url: readUrlLimits(values, help),
    json: values.json === true,
    quiet: values.quiet === true,
  };
}

/** A format by its name in any case. */
function readFormat(text: string, formats: readonly Format[]): FormatName {
  const found = formats.find(({ name }) => name === text.trim().toUpperCase());
  if (found) return found.name;
  const names = formats.map(({ name }) => name);
  const near = nearest(text, names);
  const hint = near.length > 0 ? `; did you mean ${near.join(' or ')}?` : '';
  throw new UsageError(`unknown format '${text}'${hint}`, `Formats: ${names.join(' ')}`);
}

function readSample(text: string | undefined, help: string): number | 'all' | undefined {
  if (text === undefined || text === 'all') return text;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`--sample is '${text}', and must be a number of weights or all`, help);
}

/** Reads the arguments of `diff`. */
export function readDiff(args: string[]) {
  const help = "Run 'quantpress diff --help' for help.";
  const options = {
    ...URL_LIMITS,
    json: { type: 'boolean' },
    quiet: { type: 'boolean', short: 'q' },
    threads: { type: 'string' },
  } as const;
  const { values, positionals } = read(args, options, help);
  const [a, b, extra] = positionals;
  if (a === undefined || b === undefined) throw new UsageError('diff needs two files, A and B', help);
  if (extra !== undefined) throw new UsageError(`diff takes only two files; '${extra}' is a third`, help);
  const [threads, url] = [readThreads(values.threads), readUrlLimits(values, help)];
  return { a, b, json: values.json === true, quiet: values.quiet === true, threads, url };
}

/** The options of the commands that run a model on a text. The short names are llama.cpp's. */
const RUN_OPTIONS = {
  ...URL_LIMITS,
  chunks: { type: 'string' },
  'ctx-size': { type: 'string', short: 'c' },
  json: { type: 'boolean' },
  'parse-special': { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
} as const satisfies ParseArgsConfig['options'];

function readRun(
  values: {
    [K in keyof typeof RUN_OPTIONS]?: ((typeof RUN_OPTIONS)[K]['type'] extends 'string' ? string : boolean) | undefined;
  },
  help: string,
) {
  return {
    run: {
      chunkSize: readNumber('--ctx-size', values['ctx-size'], help),
      chunks: readNumber('--chunks', values.chunks, help),
      parseSpecial: values['parse-special'] === true,
    },
    json: values.json === true,
    quiet: values.quiet === true,
    url: readUrlLimits(values, help),
  };
}

/** A whole number from 1. */
function readNumber(name: string, text: string | undefined, help: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`${name} is '${text}', and must be a whole number from 1 to 999999999`, help);
}

/** Reads the arguments of `imatrix`. */
export function readImatrix(args: string[]) {
  const help = "Run 'quantpress imatrix --help' for help.";
  const options = { ...RUN_OPTIONS, 'process-output': { type: 'boolean' } } as const;
  const { values, positionals } = read(args, options, help);
  const [file, text, output, extra] = positionals;
  if (file === undefined || text === undefined || output === undefined) {
    throw new UsageError('imatrix needs MODEL, TEXT and OUT', help);
  }
  if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`, help);
  return { file, text, output, processOutput: values['process-output'] === true, ...readRun(values, help) };
}

/** Reads the arguments of `perplexity`. */
export function readPerplexity(args: string[]) {
  const help = "Run 'quantpress perplexity --help' for help.";
  const { values, positionals } = read(args, { ...RUN_OPTIONS, against: { type: 'string' } } as const, help);
  const [file, text, extra] = positionals;
  if (file === undefined || text === undefined) throw new UsageError('perplexity needs MODEL and TEXT', help);
  if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`, help);
  return { file, text, against: values.against, ...readRun(values, help) };
}

/** `REGEX=TYPE`. */
export function readTensorType(text: string): { pattern: string; type: FormatName } {
  const at = text.indexOf('=');
  if (at <= 0 || at === text.length - 1) throw new UsageError(`'${text}' is not of the form REGEX=TYPE`, TRY_HELP);
  return { pattern: text.slice(0, at), type: text.slice(at + 1) as FormatName };
}

function read<T extends NonNullable<ParseArgsConfig['options']>>(args: string[], options: T, help: string) {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    // Node's message is "Unknown option '--x'. To specify a positional argument ..."; the first sentence is enough.
    const [sentence = ''] = (error instanceof Error ? error.message : String(error)).split(/\. |\n/);
    throw new UsageError(sentence.charAt(0).toLowerCase() + sentence.slice(1), help);
  }
}

/** `IN [OUT] PRESET [THREADS]`: as in llama-quantize, OUT is omitted if a preset is in its place. */
function readPlaces(positionals: string[], presets: readonly Preset[]) {
  const [input, second, third, ...rest] = positionals;
  if (input === undefined) throw new UsageError('quantize needs IN, OUT and PRESET', TRY_HELP);
  if (second === undefined) throw new UsageError(`quantize needs OUT and PRESET after '${input}'`, TRY_HELP);
  const beside = findPreset(second, presets);
  const [output, preset, threads, extra] = beside
    ? [outputBeside(input, beside), beside, third, rest[0]]
    : [second, third === undefined ? undefined : findPreset(third, presets), rest[0], rest[1]];
  if (preset === undefined) throw unknownPreset(third ?? second, presets, third === undefined ? second : undefined);
  if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`, TRY_HELP);
  return { input, output, preset, threads };
}

function outputBeside(input: string, preset: Recipe['preset']): string {
  const name = isBnb({ preset }) ? `model-${preset.toLowerCase()}` : `ggml-model-${preset}.gguf`;
  return input.replace(/[^/\\]*$/, name);
}

/** `IN OUT [THREADS]`: the types are chosen for each tensor. */
function readPlacesOfMix(positionals: string[], presets: readonly Preset[]) {
  const [input, output, threads, extra] = positionals;
  if (input === undefined || output === undefined) throw new UsageError('quantize needs IN and OUT', TRY_HELP);
  const preset = [output, threads].find(
    (text) => text !== undefined && presets.some(({ name }) => name === text.toUpperCase()),
  );
  if (preset !== undefined) {
    throw new UsageError(`a target size and the preset '${preset}' cannot be used together`, TRY_HELP);
  }
  if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`, TRY_HELP);
  return { input, output, preset: undefined, threads };
}

function readTarget(size: string | undefined, bpw: string | undefined): MixTarget | undefined {
  if (size !== undefined && bpw !== undefined) {
    throw new UsageError('--target-size and --target-bpw cannot be used together', TRY_HELP);
  }
  if (size !== undefined) return { targetSize: usage(() => readSize('--target-size', size)) };
  if (bpw === undefined) return undefined;
  if (/^\d{1,2}(\.\d+)?$/.test(bpw)) return { targetBpw: Number(bpw) };
  throw new UsageError(`--target-bpw is '${bpw}', and must be a number such as 4.2`, TRY_HELP);
}

/** Turns an error about an argument into a usage error. */
function usage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof QuantpressError) throw new UsageError(error.message, TRY_HELP);
    throw error;
  }
}

/** A preset by its name in any case, or by its number. */
function findPreset(text: string, presets: readonly Preset[]): Recipe['preset'] | undefined {
  const fourBit = BNB_PRESETS.find((name) => name === text.toUpperCase());
  if (fourBit) return fourBit;
  const found = presets.find(({ name }) => name === text.toUpperCase());
  return (found ?? presets.find(({ ftype }) => String(ftype) === text))?.name;
}

function unknownPreset(text: string, presets: readonly Preset[], output?: string): UsageError {
  const names = presets.map(({ name }) => name);
  const list = `Presets: ${names.join(' ')}`;
  if (output !== undefined && nearest(text, names).length === 0) {
    return new UsageError(`quantize needs a PRESET after '${output}'`, list);
  }
  const near = nearest(text, names);
  const hint = near.length > 0 ? `; did you mean ${near.join(' or ')}?` : '';
  return new UsageError(`unknown preset '${text}'${hint}`, list);
}

function readThreads(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new UsageError(`--threads is '${text}', and must be a whole number from 0 to 999`, TRY_HELP);
}

function readLayer(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UsageError(`--prune-layers has '${text}', and must be numbers of layers such as 3,4`, TRY_HELP);
}

/** An object with one member, or with none if the value is undefined. */
function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}
