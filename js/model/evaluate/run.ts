/** Runs a text through models: the engine asks for rows of tensors and computes, and this thread reads them. */

import { expectBytes, expectWhole, wrongType } from '../../engine/check.js';
import { release } from '../../engine/dispose.js';
import { QuantpressError } from '../../engine/error.js';
import { callInference, loadInference } from '../../engine/inference.js';
import type { ModelAssembler, ModelRun, RunnableModel } from '../../engine/inference-bindings.js';
import { callModel } from '../../engine/model.js';
import { callback, flag, signal, type Reader, type ReaderTable } from '../../engine/options.js';
import { breathe } from '../../engine/platform.js';
import { readExactly } from '../../io/source/source.js';
import type { Model } from '../model.js';

/** The argument of `onProgress` of functions that run models. */
export interface RunProgress {
  /** The tensor that was read last. */
  tensor: string;
  /** Completed steps. */
  done: number;
  /** All steps. */
  total: number;
}

/** Options of all functions that run models on a text. */
export interface RunOptions {
  /**
   * The number of tokens of a chunk, at least 4: `--ctx-size` of llama.cpp's tools. 512 by default, or the model's context
   * length if that is shorter.
   */
  chunkSize?: number | undefined;
  /** The largest number of chunks to run. All by default. */
  chunks?: number | undefined;
  /** Whether the names of special tokens in the text become those tokens. No by default. */
  parseSpecial?: boolean | undefined;
  /** Stops the work. */
  signal?: AbortSignal | undefined;
  /** Called after each piece of a tensor, and at the end. */
  onProgress?: ((progress: RunProgress) => void) | undefined;
}

/** A whole number from 1. */
const positive: Reader<number> = (name, value) => {
  expectWhole(name, value, 1, 0xffff_ffff);
  return value;
};

/** The readers of {@link RunOptions}. */
export const RUN_OPTIONS: ReaderTable<RunOptions> = {
  chunkSize: positive,
  chunks: positive,
  parseSpecial: flag,
  signal,
  onProgress: callback,
};

/** The size limit of a text: its tokens and the merges of the tokenizer are in memory, at most some ten times its size. */
const MAX_TEXT_BYTES = 1 << 27;

/** The bytes of a text, which need not be valid UTF-8. */
export function textBytes(text: unknown): Uint8Array {
  if (typeof text !== 'string' && !(typeof text === 'object' && text !== null)) throw notText(text);
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  expectBytes('text', bytes);
  expectTextSize(bytes.length);
  return bytes;
}

const notText = (text: unknown) => wrongType('text', 'a string or a Uint8Array', text);

/** Rejects a text that is too long. */
export function expectTextSize(size: number): void {
  if (size <= MAX_TEXT_BYTES) return;
  const message = `the text has ${size} bytes; the limit is ${MAX_TEXT_BYTES}. Use a part of it`;
  throw new QuantpressError('TOO_LARGE', message, { size, limit: MAX_TEXT_BYTES });
}

/**
 * Opens models in the module that runs them, begins a run, completes it, and returns what `result` makes of it. Frees
 * everything.
 */
export async function runText<T>(
  models: readonly Model[],
  text: Uint8Array,
  options: RunOptions,
  begin: (runnable: readonly RunnableModel[], tokens: Uint32Array) => ModelRun,
  result: (run: ModelRun, tokens: number) => T,
): Promise<T> {
  options.signal?.throwIfAborted();
  await loadInference();
  const opened: { free(): void }[] = [];
  try {
    const runnable = models.map((model) => {
      const made = assemble(model);
      opened.push(made);
      return made;
    });
    const tokens = callInference(() => runnable.at(-1)?.tokens(text, options.parseSpecial ?? false));
    const run = begin(runnable, tokens ?? new Uint32Array());
    opened.push(run);
    await complete(run, models, options);
    return result(run, tokens?.length ?? 0);
  } finally {
    for (const object of opened) release(object, callInference);
  }
}

/** A model in the module that runs it. */
function assemble({ header }: Model): RunnableModel {
  if (!('piece' in header)) {
    const message =
      'only GGUF models can be run. Convert the safetensors model first: quantize it with the preset F16 or F32';
    throw new QuantpressError('UNSUPPORTED', message, { container: 'safetensors' });
  }
  const piece = (index: number) => callModel(() => header.piece(index));
  let assembler: ModelAssembler | undefined = callInference((engine) => new engine.ModelAssembler(piece(0)));
  try {
    const pieces = callModel(() => header.pieces);
    for (let index = 1; index < pieces; index++) {
      const next = piece(index);
      callInference(() => assembler?.add(next));
    }
    const complete = assembler;
    // The engine takes ownership, whether the model can be run or not.
    assembler = undefined;
    return callInference(() => complete.finish());
  } finally {
    if (assembler) release(assembler, callInference);
  }
}

/** What a run asks for. */
interface Request {
  model: number;
  tensor: string;
  offset: number;
  length: number;
}

async function complete(run: ModelRun, models: readonly Model[], { signal, onProgress }: RunOptions): Promise<void> {
  const report = (tensor: string) => {
    if (onProgress) onProgress({ tensor, ...callInference(() => ({ done: run.done, total: run.total })) });
  };
  let last = '';
  for (;;) {
    // The engine computes for up to a second at a time.
    await breathe();
    signal?.throwIfAborted();
    const request = callInference(() => run.next()) as Request | undefined;
    if (!request) break;
    const { model, tensor, offset, length } = request;
    const source = (models[model] as Model).source;
    const bytes = await readExactly(source, offset, length, signal);
    callInference(() => run.supply(bytes));
    report(tensor);
    last = tensor;
  }
  report(last);
  for (const { source } of models) await source.check?.();
}
