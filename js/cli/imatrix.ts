/** `quantpress imatrix`. */

import { readImatrix } from './args.js';
import { createDisplay } from './progress.js';
import { bytes, printable } from './text.js';
import { readText } from './text-file.js';
import { escapedJson } from '../engine/escape.js';
import { refuseSharedFiles, usesOf } from '../io/file-identity.js';
import { SidecarFile } from '../io/target/sidecar-file.js';
import { importanceOf } from '../model/evaluate/importance-of.js';
import { openModel } from '../model/model.js';

/** Runs the command. */
export async function imatrix(args: string[], signal: AbortSignal): Promise<void> {
  const { file, text, output, processOutput, run, json, quiet, url } = readImatrix(args);
  const calibration = await readText(text, signal);
  const model = await openModel(file, { ...url, signal });
  const target = await SidecarFile.at('OUT', output);
  const display = createDisplay(process.stderr, quiet);
  try {
    await refuseSharedFiles(
      [...usesOf('MODEL', model.reads), ...usesOf('TEXT', calibration.reads)],
      await target.uses(),
    );
    await target.prepare(signal);
    const options = { ...run, processOutput, dataset: text, signal, onProgress: display.step.bind(display) };
    const { bytes: matrix, ...counts } = await importanceOf(model, calibration.bytes, options);
    display.clear();
    await target.save(() => [matrix]);
    if (quiet) return;
    const { chunks, chunkSize, tokens } = counts;
    const summary = `${printable(output)}: ${bytes(matrix.length)}, from ${chunks} chunks of ${chunkSize} tokens`;
    process.stdout.write(
      json
        ? `${escapedJson({ ...counts, size: matrix.length }, undefined, 2)}\n`
        : `${summary} (the text has ${tokens})\n`,
    );
  } finally {
    display.clear();
    await target.abort();
    await model.close();
  }
}
