/** `quantpress quantize`. */

import { stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { shown } from './address.js';
import { readQuantize, readTensorType, UsageError, type QuantizeRequest } from './cli-args.js';
import { reportText } from './cli-figures.js';
import { inFolder } from './cli-four-bit.js';
import { mixFor } from './cli-mix.js';
import { createDisplay } from './cli-progress.js';
import { bytes, printable, table } from './cli-text.js';
import { isFourBit } from './four-bit-plan.js';
import { manifestOf, manifestText } from './manifest.js';
import { planModel, presets, type Plan, type Recipe } from './model-plan.js';
import { openModel, type Model } from './model.js';
import { quantizeModel, type Report } from './quantize.js';
import { readTextFile } from './source-file.js';
import { systemError } from './system-error.js';

/** A list of tensor types: the longest names are 64 bytes, the most tensors some 100 000. */
const MAX_LIST_BYTES = 1 << 24;

/** Runs the command. `signal` ends it, with nothing left behind. */
export async function quantize(args: string[], signal: AbortSignal): Promise<void> {
  const request = readQuantize(args, presets());
  await addTensorTypes(request);
  if (!request.dryRun) await refuseSameFile(request);
  const model = await openModel(request.input, { signal });
  try {
    const { preset, target, options, output } = request;
    const recipe = target ? await mixFor(model, request, target, signal) : { ...options, preset: preset ?? '' };
    if (request.dryRun) await dryRun(model, request, recipe);
    else if (isFourBit(recipe)) {
      await inFolder(model, recipe, output, (path) => convert(model, { ...request, output: path }, recipe, signal));
    } else await convert(model, request, recipe, signal);
  } finally {
    await model.close();
  }
}

async function convert(model: Model, request: QuantizeRequest, recipe: Recipe, signal: AbortSignal): Promise<void> {
  const display = createDisplay(process.stderr, request.quiet);
  let report: Report;
  try {
    report = await quantizeModel(model, request.output, recipe, {
      workers: request.threads,
      imatrix: request.imatrix,
      resume: request.resume,
      hashes: request.manifest !== undefined || request.report !== undefined,
      report: request.report !== undefined,
      signal,
      onProgress: (progress) => display.show(progress),
    });
  } catch (error) {
    display.clear();
    if (request.resume && signal.aborted && !request.quiet) {
      console.error('interrupted: what is done is kept, and the same command goes on with it');
    }
    throw error;
  }
  display.clear();
  if (request.report !== undefined) await save(request.report, `${JSON.stringify(report, null, 2)}\n`);
  if (request.manifest !== undefined) {
    await save(request.manifest, manifestText(manifestOf(report, basename(request.output)), request.manifest));
  }
  if (request.quiet) return;
  if (request.report !== undefined) process.stdout.write(`${reportText(report)}\n\n`);
  process.stdout.write(`${summary(request, report)}\n`);
}

async function dryRun(model: Model, { imatrix, input }: QuantizeRequest, recipe: Recipe): Promise<void> {
  const plan = await planModel(model, recipe, { imatrix });
  const rows = plan.tensors.map((tensor) => [
    printable(tensor.name),
    tensor.shape.join(' x '),
    tensor.from,
    tensor.to,
    String(tensor.targetBytes),
    printable(tensor.why),
  ]);
  const lines = [table(['tensor', 'shape', 'from', 'to', '>bytes', 'why'], rows), '', totals(input, model, plan)];
  const missing = plan.missingImportance.length;
  if (missing > 0) lines.push(`${missing} tensors need an importance matrix: without --imatrix this cannot be made.`);
  plan.free();
  process.stdout.write(`${lines.join('\n')}\n`);
}

function totals(input: string, { source }: Model, { size }: Plan): string {
  return `${printable(shown(input))}: ${source.size} bytes would become ${size} (${share(size, source.size)})`;
}

function summary({ output }: QuantizeRequest, { sourceSize, size, seconds }: Report): string {
  const change = `${bytes(sourceSize)} became ${bytes(size)} (${share(size, sourceSize)})`;
  return `${printable(output)}: ${change} in ${seconds.toFixed(1)} s`;
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

/** `--tensor-type-file`: the same as --tensor-type, separated by white space, after those of the command line. */
async function addTensorTypes({ tensorTypeFile, options }: QuantizeRequest): Promise<void> {
  if (tensorTypeFile === undefined) return;
  const text = await readTextFile(tensorTypeFile, MAX_LIST_BYTES);
  const types = text.split(/\s+/).filter(Boolean).map(readTensorType);
  options.tensorTypes = [...(options.tensorTypes ?? []), ...types];
}

/** Writing over what is being read would be safe here, and is still hardly ever meant. */
async function refuseSameFile({ input, output }: QuantizeRequest): Promise<void> {
  const [a, b] = await Promise.all([input, output].map((path) => stat(path).catch(() => undefined)));
  if (!a || !b || a.dev !== b.dev || a.ino !== b.ino) return;
  throw new UsageError(`IN and OUT are the same file: '${output}'`, 'Give OUT another name.');
}

async function save(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw systemError(error, `cannot write '${path}'`, { path });
  }
}
