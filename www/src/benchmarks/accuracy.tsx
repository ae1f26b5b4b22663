import { linear, ticks } from '../ui/scale.ts';
import { Axes, Frame } from './frame.tsx';
import { job } from './job.ts';
import { Panel } from './panel.tsx';
import { type AccuracyRow, QAT, WIDTHS } from './steps.ts';

export const accuracy = job('accuracy', () => ({ seed: 1 }));

const HEIGHT = 400;
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

/** The accuracy of a classifier with fewer and fewer bits: after training, and with quantization-aware training. */
export function Accuracy() {
  const rows = accuracy.rows.value;
  const original = rows.find(({ method }) => method === 'original')?.accuracy;
  const low = rows.filter(({ bits }) => bits === 2);
  const qat = low.find(({ method }) => method === QAT)?.accuracy;
  const ptq = low.filter(({ method }) => method !== QAT).map((row) => row.accuracy);
  return (
    <Panel
      job={accuracy}
      title="Accuracy after quantization"
      about="Trains a small classifier of handwritten digits, then quantizes its weights and activations to fewer and fewer bits: with six calibration methods after training, and with quantization-aware training."
      verdict={
        original !== undefined &&
        qat !== undefined && (
          <>
            Of {percent(original)}, two bits keep <strong>{percent(Math.max(...ptq))}</strong> with the best
            calibration, and <strong>{percent(qat)}</strong> with quantization-aware training.
          </>
        )
      }
      chart={<Frame height={() => HEIGHT}>{(width) => <Lines rows={rows} width={width} original={original} />}</Frame>}
      table={<Table rows={rows} original={original} />}
    />
  );
}

interface ChartProps {
  readonly rows: readonly AccuracyRow[];
  readonly width: number;
  readonly original: number | undefined;
}

function Lines({ rows, width, original }: ChartProps) {
  const wide = width >= 640;
  const box = [46, 60, width - (wide ? 196 : 18), HEIGHT - (wide ? 46 : 150)] as const;
  const least = rows.reduce((least, row) => Math.min(least, row.accuracy), 0.9);
  const domain = [Math.floor(least * 20) / 20, 1] as const;
  // The number of bits decreases from left to right.
  const x = linear([8, 2], [box[0] + 6, box[2]]);
  const y = linear(domain, [box[3], box[1]]);
  const methods = [...new Set(rows.map(({ method }) => method))].filter((method) => method !== 'original');
  const lines = methods.map((method, i) => {
    const points = rows.filter((row) => row.method === method);
    const last = points.at(-1);
    return { method, i, points, at: last ? y(last.accuracy) : 0, end: last ? x(last.bits) : 0 };
  });
  const labels = apart(lines.map(({ at }) => at));
  return (
    <svg width={width} height={HEIGHT} role="img" aria-label="Accuracy by bit width">
      <Axes
        gap={34}
        x={x}
        y={y}
        box={box}
        xTicks={WIDTHS}
        yTicks={ticks(domain, 5)}
        xLabel="bits of weights and activations"
        yLabel="digits classified correctly"
        yText={(value) => `${Math.round(100 * value)}%`}
      />
      {original !== undefined && (
        <>
          <line class="bound" x1={box[0]} x2={box[2]} y1={y(original)} y2={y(original)} />
          <text class="bound-text" x={box[0] + 6} y={y(original) - 9}>
            in floating point
          </text>
        </>
      )}
      {lines.map(({ method, i, points }) => (
        <g key={method} class="line" data-line={method === QAT ? 'qat' : i % 6}>
          <path d={points.map((row, k) => `${k ? 'L' : 'M'}${x(row.bits)} ${y(row.accuracy)}`).join('')} />
          {points.map((row) => (
            <circle key={row.bits} cx={x(row.bits)} cy={y(row.accuracy)} r={method === QAT ? 4 : 3} />
          ))}
        </g>
      ))}
      {lines.map(({ method, i, at, end }, k) => (
        <g key={method} class="line-label" data-line={method === QAT ? 'qat' : i % 6}>
          {wide ? (
            <>
              <path d={`M${end + 6} ${at}L${box[2] + 14} ${labels[k]}H${box[2] + 22}`} />
              <text x={box[2] + 28} y={labels[k]} dy="0.32em">
                {method}
              </text>
            </>
          ) : (
            <>
              <path d={`M${box[0] + (k % 2) * (width / 2 - 20)} ${box[3] + 62 + Math.floor(k / 2) * 22}h18`} />
              <text x={box[0] + 24 + (k % 2) * (width / 2 - 20)} y={box[3] + 62 + Math.floor(k / 2) * 22} dy="0.32em">
                {method === QAT ? 'QAT' : method.replace('entropy, ', 'entropy ').replace(' Runtime', '')}
              </text>
            </>
          )}
        </g>
      ))}
    </svg>
  );
}

/** Positions of labels near their values without overlap. */
function apart(wanted: readonly number[]): number[] {
  const GAP = 17;
  const order = wanted.map((_, i) => i).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0));
  const placed = [...wanted];
  for (let pass = 0; pass < 40; pass += 1) {
    for (let k = 1; k < order.length; k += 1) {
      const [above, below] = [order[k - 1] ?? 0, order[k] ?? 0];
      const overlap = GAP - ((placed[below] ?? 0) - (placed[above] ?? 0));
      if (overlap <= 0) continue;
      placed[above] = (placed[above] ?? 0) - overlap / 2;
      placed[below] = (placed[below] ?? 0) + overlap / 2;
    }
  }
  return placed;
}

function Table({ rows, original }: { rows: readonly AccuracyRow[]; original: number | undefined }) {
  const methods = Map.groupBy(
    rows.filter(({ method }) => method !== 'original'),
    ({ method }) => method,
  );
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Range chosen by</th>
          {WIDTHS.map((bits) => (
            <th key={bits} scope="col" class="right">
              {bits} bits
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {[...methods].map(([method, found]) => (
          <tr key={method}>
            <th scope="row">{method}</th>
            {WIDTHS.map((bits) => {
              const row = found.find((one) => one.bits === bits);
              return (
                <td key={bits} class="right number">
                  {row && percent(row.accuracy)}
                </td>
              );
            })}
          </tr>
        ))}
        {original !== undefined && (
          <tr>
            <th scope="row">in floating point</th>
            <td class="number" colSpan={WIDTHS.length}>
              {percent(original)}
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
