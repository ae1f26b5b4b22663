/** Formats weight errors for output. */

import { printable, tableLines } from './text.js';
import type { ErrorFigures } from '../numerics/distortion.js';
import type { LazyReport, ReportedTensor } from '../model/quantize/report.js';

/** The headings of {@link figureCells}. */
export const FIGURES = ['>weight error %', '>SQNR dB', '>cosine', '>max error'];

/** An error in the cells of a table; empty cells if nothing has changed. */
export function figureCells({ relativeRmse, sqnrDb, cosineSimilarity, maxError }: ErrorFigures): string[] {
  if (maxError === 0) return ['0', '', '1', '0'];
  return [percent(relativeRmse), sqnrDb.toFixed(2), cosineSimilarity.toFixed(6), maxError.toPrecision(3)];
}

/** The weight error of a file as text. */
export function weightErrorText(error: number | undefined): string {
  return `weight error (RMS, relative): ${error === undefined ? 'not measured' : `${percent(error)}%`}`;
}

/** A share in percent, in three digits. */
export function percent(share: number): string {
  return (100 * share).toPrecision(3);
}

/** Each tensor's new type, error and reason, line by line. */
export function* reportText({ tensors, weightError }: LazyReport): Generator<string> {
  let weighted = false;
  for (const { error } of tensors) weighted ||= error?.weightedError !== undefined;
  const row = ({ name, from, to, bytes, error, why }: ReportedTensor) => [
    ...[printable(name), from, to, String(bytes)],
    ...(error ? figureCells(error) : FIGURES.map(() => '')),
    ...(weighted ? [error?.weightedError === undefined ? '' : percent(error.weightedError)] : []),
    printable(why),
  ];
  const headings = ['tensor', 'from', 'to', '>bytes', ...FIGURES, ...(weighted ? ['>weighted %'] : []), 'why'];
  yield* tableLines(headings, { length: tensors.length, at: (index) => row(tensors.at(index)) });
  yield `\n${weightErrorText(weightError)}\n\n`;
}
