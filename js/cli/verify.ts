/** `quantpress verify`. */

import { shown } from '../io/url.js';
import { readVerify } from './args.js';
import { createDisplay } from './progress.js';
import { printable } from './text.js';
import { QuantpressError } from '../engine/error.js';
import { refuseSharedFiles, usesOf, type FileReference } from '../io/file-identity.js';
import { manifestPieces, parseManifest, type ExpectedHashes } from '../model/manifest.js';
import { openModel } from '../model/model.js';
import { SpeedMeter } from '../model/quantize/progress.js';
import { SidecarFile } from '../io/target/sidecar-file.js';
import { readTextFile } from '../io/source/file.js';
import { verifyModel } from '../model/verify.js';

/** Runs the command. It fails if anything is wrong with the file. */
export async function verify(args: string[], signal: AbortSignal): Promise<void> {
  const { file, manifest, write, quiet, url } = readVerify(args);
  const expected = await readManifest(file, manifest);
  const model = await openModel(file, { ...url, signal });
  const output = write === undefined ? undefined : await SidecarFile.at('--write', write);
  const display = createDisplay(process.stderr, quiet);
  try {
    if (output) {
      const reads = [...usesOf('FILE', model.reads), ...usesOf('the manifest', expected?.reads ?? [])];
      await refuseSharedFiles(reads, await output.uses());
      await output.prepare(signal);
    }
    const meter = new SpeedMeter();
    const whole = { bytesResumed: 0, tensorsDone: 0, tensorsTotal: 1 };
    const {
      problems,
      manifest: found,
      compared,
    } = await verifyModel(model, {
      manifest: expected?.hashes,
      signal,
      onProgress: (progress) => display.show(meter.of({ ...progress, ...whole })),
    });
    display.clear();
    await output?.save(() => manifestPieces(found, write ?? ''));
    for (const { tensor, message } of problems) {
      process.stdout.write(`${tensor === undefined ? '' : `tensor '${printable(tensor)}': `}${printable(message)}\n`);
    }
    if (problems.length > 0) {
      const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
      throw new QuantpressError('MALFORMED', `'${shown(file)}' has ${count}`, {
        problems: problems.length,
      });
    }
    const how = compared ? 'as in the manifest' : 'no manifest to compare with; every block is valid';
    if (!quiet)
      process.stdout.write(`${printable(shown(file))}: ${found.tensors.length} tensors, ${how}\n${found.sha256}\n`);
  } finally {
    display.clear();
    await output?.abort();
    await model.close();
  }
}

/** A manifest has some 200 bytes for each tensor. */
const MAX_MANIFEST_BYTES = 1 << 28;

/** The manifest that was specified, otherwise the one next to the file, if it exists. */
async function readManifest(
  file: string,
  named: string | undefined,
): Promise<{ hashes: ExpectedHashes; reads: FileReference[] } | undefined> {
  const path = named ?? `${file}.manifest.json`;
  const text = await readTextFile(path, MAX_MANIFEST_BYTES).catch((error: unknown) => {
    if (named === undefined && error instanceof QuantpressError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return { hashes: parseManifest(text), reads: [{ kind: 'path', path }] };
  } catch (error) {
    if (!(error instanceof QuantpressError)) throw error;
    throw new QuantpressError(error.code, `'${path}': ${error.message}`, { ...error.details, path });
  }
}
