/** `quantpress quantize`. */

import { basename } from 'node:path';
import { shown } from '../io/url.js';
import { readQuantize, readTensorType, type QuantizeRequest } from './args.js';
import { reportText } from './figures.js';
import { folderTarget } from './bnb.js';
import { mixFor } from './mix.js';
import { writeOut } from './output.js';
import { createDisplay } from './progress.js';
import { bytes, printable, table } from './text.js';
import { filesOf, refuseSharedFiles, usesOf, type FileUse } from '../io/file-identity.js';
import { jsonLines } from '../io/json-text.js';
import { manifestOfLazy } from '../model/manifest.js';
import { planModel, presets, type Plan, type Recipe } from '../model/plan.js';
import { openUnlisted, type Model } from '../model/model.js';
import { isBnb } from '../model/recipe.js';
import { quantizeAmong } from '../model/quantize/quantize.js';
import type { Progress } from '../model/quantize/progress.js';
import type { LazyReport } from '../model/quantize/report.js';
import { SidecarFile } from '../io/target/sidecar-file.js';
import { readTextFile } from '../io/source/file.js';
import { openTarget } from '../io/target/open.js';

/** The name of the model's files in error messages. */
const ROLES = { model: 'IN', imatrix: '--imatrix', target: 'OUT' } as const;

/** The size limit of a list of tensor types: names have up to 64 bytes, and models up to about 100 000 tensors. */
const MAX_LIST_BYTES = 1 << 24;

/** Runs the command. `signal` ends it and leaves nothing behind. */
export async function quantize(args: string[], signal: AbortSignal): Promise<void> {
  const request = readQuantize(args, presets());
  await addTensorTypes(request);
  const model = await openUnlisted(request.input, { ...request.url, signal });
  try {
    const { preset, target, options } = request;
    if (target && !request.dryRun) await checkFiles(model, request);
    const recipe = target
      ? await mixFor(model, request, target, signal)
      : // readQuantize requires a preset or a target.
        { ...options, preset: preset as Recipe['preset'] };
    if (request.dryRun) await dryRun(model, request, recipe);
    else await convert(model, request, recipe, signal);
  } finally {
    await model.close();
  }
}

async function convert(model: Model, request: QuantizeRequest, recipe: Recipe, signal: AbortSignal): Promise<void> {
  const place = isBnb(recipe)
    ? folderTarget(model, recipe, request.output)
    : { target: request.output, path: request.output };
  const display = createDisplay(process.stderr, request.quiet);
  const { report: reportFile, manifest: manifestFile } = await sideFiles(request);
  const beside = [reportFile, manifestFile].filter((file) => file !== undefined);
  const options = {
    workers: request.threads,
    imatrix: request.imatrix,
    resume: request.resume,
    hashes: beside.length > 0,
    report: reportFile !== undefined,
    signal,
    onProgress: (progress: Progress) => display.show(progress),
  };
  const files = { reads: readBy(request), beside, roles: ROLES };
  try {
    await quantizeAmong(model, place.target, recipe, options, files, async (report) => {
      display.clear();
      await reportFile?.save(() => jsonLines(report));
      await manifestFile?.save(() => manifestOfLazy(report, basename(place.path), request.manifest ?? ''));
      if (request.quiet) return;
      if (reportFile) await writeOut(reportText(report));
      process.stdout.write(`${summary(place.path, report)}\n`);
      if (report.plain) process.stdout.write(`${PLAIN}\n`);
    });
  } catch (error) {
    display.clear();
    for (const file of beside) await file.abort();
    if (request.resume && signal.aborted && !request.quiet) {
      console.error('interrupted: the partial output is kept, and the same command resumes it');
    }
    throw error;
  }
}

/** The files that are written in addition to the model. */
async function sideFiles({ report, manifest }: QuantizeRequest) {
  return {
    report: report === undefined ? undefined : await SidecarFile.at('--report', report),
    manifest: manifest === undefined ? undefined : await SidecarFile.at('--manifest', manifest),
  };
}

/** The files that were read before the model. */
function readBy({ tensorTypeFile: path }: QuantizeRequest): FileUse[] {
  return path === undefined ? [] : [{ role: '--tensor-type-file', file: { kind: 'path', path } }];
}

/** Choosing a mix takes long, so everything that can be checked without the plan is checked first. */
async function checkFiles(model: Model, request: QuantizeRequest): Promise<void> {
  const { imatrix, output, options } = request;
  const { report, manifest } = await sideFiles(request);
  const reads = [...usesOf(ROLES.model, model.reads), ...readBy(request)];
  if (imatrix !== undefined) reads.push({ role: ROLES.imatrix, file: { kind: 'path', path: imatrix } });
  const writes = [...((await report?.uses()) ?? []), ...((await manifest?.uses()) ?? [])];
  // The names of shards depend on their number.
  if (options.splitMaxSize === undefined && !options.keepSplit) {
    const target = await openTarget(output);
    await target.fits?.(0);
    writes.push(...(await filesOf(ROLES.target, target)));
  }
  await refuseSharedFiles(reads, writes);
}

/** The note for a container written with `--plain`. */
const PLAIN = 'A plain container: the tensors keep their names, and the architecture is plain. No program can run it.';

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
  if (missing > 0) lines.push(`${missing} tensors need an importance matrix. Specify one with --imatrix.`);
  if (plan.plain) lines.push(PLAIN);
  plan.free();
  process.stdout.write(`${lines.join('\n')}\n`);
}

function totals(input: string, { source }: Model, { size }: Plan): string {
  return `${printable(shown(input))}: ${source.size} bytes would become ${size} (${share(size, source.size)})`;
}

function summary(output: string, { sourceSize, size, seconds }: LazyReport): string {
  const change = `${bytes(sourceSize)} -> ${bytes(size)} (${share(size, sourceSize)})`;
  return `${printable(output)}: ${change} in ${seconds.toFixed(1)} s`;
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(1)}%`;
}

/** `--tensor-type-file`: the values of --tensor-type, separated by white space, after those of the command line. */
async function addTensorTypes({ tensorTypeFile, options }: QuantizeRequest): Promise<void> {
  if (tensorTypeFile === undefined) return;
  const text = await readTextFile(tensorTypeFile, MAX_LIST_BYTES);
  const types = text.split(/\s+/).filter(Boolean).map(readTensorType);
  options.tensorTypes = [...(options.tensorTypes ?? []), ...types];
}
