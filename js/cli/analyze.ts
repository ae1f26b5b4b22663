/** `quantpress analyze`. */

import { analyzeModel, type FormatAnalysis, type FormatError, type ModelAnalysis } from '../model/analyze/analyze.js';
import { readAnalyze } from './args.js';
import { percent } from './figures.js';
import { weightError } from '../numerics/distortion.js';
import { createDisplay } from './progress.js';
import { bytes, printable, table } from './text.js';
import { escapedJson } from '../engine/escape.js';
import { formats, type FormatName } from '../numerics/format.js';
import { openModel } from '../model/model.js';

/** Runs the command. */
export async function analyze(args: string[], signal: AbortSignal): Promise<void> {
  const { file, formats: wanted, imatrix, sample, threads, json, quiet, url } = readAnalyze(args, formats());
  const model = await openModel(file, { ...url, signal });
  const display = createDisplay(process.stderr, quiet);
  try {
    const onProgress = display.step.bind(display);
    const options = { formats: wanted, imatrix, sample, workers: threads, signal, onProgress };
    const analysis = await analyzeModel(model, options).finally(() => display.clear());
    process.stdout.write(json ? `${escapedJson(analysis, undefined, 2)}\n` : `${asText(analysis, wanted)}\n`);
  } finally {
    await model.close();
  }
}

/** The default formats in the table of tensors: more columns do not fit a terminal. */
const COLUMNS: readonly FormatName[] = ['Q2_K', 'Q3_K', 'IQ4_XS', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_0'];

function asText({ tensors }: ModelAnalysis, wanted: readonly FormatName[] = COLUMNS): string {
  const measured = tensors.filter(({ formats }) => formats.length > 0);
  const weighted = measured.some(({ formats }) =>
    formats.some((result) => !result.refusal && 'weightedError' in result),
  );
  const kept = tensors.filter(({ formats }) => formats.length === 0);
  const rows = measured.map(({ name, type, shape, formats }) => [
    ...[printable(name), type, shape.join(' x ')],
    ...wanted.map((format) => cell(formats.find((result) => result.format === format))),
  ]);
  const weights = measured.reduce((sum, { weights }) => sum + weights, 0);
  const sampled = measured.reduce((sum, { sampled }) => sum + sampled, 0);
  return [
    table(['tensor', 'type', 'shape', ...wanted.map((format) => `>${format}`)], rows),
    '',
    table(
      [
        'format',
        '>bits',
        '>bytes',
        '>weight error %',
        ...(weighted ? ['>weighted %'] : []),
        '>worst %',
        'worst tensor',
      ],
      totals(measured, kept, weighted),
    ),
    '',
    `Weight errors (RMS, relative) in percent, on ${sampled} of ${weights} weights in ${measured.length} tensors; ${kept.length} others are kept and count as 0.${weighted ? ' "weighted" counts columns by their importance.' : ''}`,
  ].join('\n');
}

function cell(result: FormatAnalysis | undefined): string {
  if (!result) return '';
  return result.refusal ? (REFUSALS[result.refusal.code] ?? 'rejected') : percent(result.relativeRmse);
}

type Tensors = ModelAnalysis['tensors'];

/** The reason why a tensor cannot have a format, in one word. */
const REFUSALS: Partial<Record<string, string>> = {
  LENGTH: 'rows',
  NEEDS_IMPORTANCE: 'imatrix',
  NON_FINITE: 'NaN',
  UNREPRESENTABLE: 'range',
  UNSUPPORTED: 'read only',
};

/** The weight error of a file in which every tensor that can has the format, and the others are kept. */
function totals(measured: Tensors, kept: Tensors, weighted: boolean): string[][] {
  const copied = kept.map(({ weights }) => ({ weights, relativeRmse: 0 }));
  return (measured[0]?.formats ?? []).map(({ format }) => {
    const results = measured.flatMap(({ name, weights, formats }) => {
      const result = formats.find((candidate) => candidate.format === format);
      return result && !result.refusal ? [{ name, weights, result }] : [];
    });
    const [first] = results;
    if (!first) return [format, '', '', cell(measured[0]?.formats.find((result) => result.format === format))];
    const over = (figure: (result: FormatError) => number): string => {
      const changed = results.map(({ weights, result }) => ({ weights, relativeRmse: figure(result) }));
      return percent(weightError([...changed, ...copied]) ?? 0);
    };
    const worst = results.reduce((a, b) => (b.result.relativeRmse > a.result.relativeRmse ? b : a));
    const others = measured.length - results.length;
    return [
      format,
      first.result.bitsPerWeight.toFixed(4),
      bytes(results.reduce((sum, { result }) => sum + result.bytes, 0)),
      over(({ relativeRmse }) => relativeRmse),
      ...(weighted ? [over(({ weightedError, relativeRmse }) => weightedError ?? relativeRmse)] : []),
      percent(worst.result.relativeRmse),
      `${printable(worst.name)}${others > 0 ? ` (${others} tensors cannot have it)` : ''}`,
    ];
  });
}
