import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { linear } from '../ui/scale.ts';
import { Axes, Frame } from './frame.tsx';
import { job } from './job.ts';
import { Panel } from './panel.tsx';
import type { SuiteRow } from './steps.ts';

const SIZES = { 16384: 'small', 65536: 'usual', 524288: 'large' } as const;
let size = 65_536;

export const suite = job('suite', () => ({ size, seed: 1 }));

/** The weight distributions, in the order of the suite. */
const DATA: Readonly<Record<string, string>> = {
  gaussian: 'Normal',
  uniform: 'Uniform',
  outliers: '1% outliers',
  channels: 'Rows of increasing variance',
};
type Family = 'block' | 'affine' | 'fourBit';
const FAMILY: Readonly<Record<Family, string>> = {
  block: 'GGUF block formats',
  affine: 'integers with a scale',
  fourBit: '4-bit codebooks',
};

const X = [1, 10.5] as const;
const Y = [0, 50] as const;

/** Every scheme on four weight distributions. */
export function Suite() {
  const rows = suite.rows.value;
  const over = useSignal<string | undefined>(undefined);
  const best = bestAt(rows, 'gaussian', 4.6);
  return (
    <Panel
      job={suite}
      title="Signal to noise by bit width"
      about={
        <>
          Every scheme on four weight distributions: bits per weight against signal to noise. The dashed line is 6.02 dB
          per bit, the limit of any quantizer for normal weights.
        </>
      }
      choices={
        <label>
          <span class="soft">Weights</span>{' '}
          <select
            value={String(size)}
            onChange={(event) => {
              size = Number(event.currentTarget.value);
            }}
          >
            {Object.entries(SIZES).map(([n, label]) => (
              <option key={n} value={n}>
                {Number(n).toLocaleString('en')} ({label})
              </option>
            ))}
          </select>
        </label>
      }
      verdict={
        best && (
          <>
            Best for normal weights within 4.6 bits: <strong>{best.label}</strong>: {best.sqnrDb.toFixed(1)} dB at{' '}
            {digits(best.bitsPerWeight)} bits.
          </>
        )
      }
      chart={<Charts rows={rows} over={over.value} look={(label) => (over.value = label)} />}
      table={<Table rows={rows} />}
    />
  );
}

const digits = (bits: number): string => String(Number(bits.toFixed(3)));

function bestAt(rows: readonly SuiteRow[], data: string, most: number): SuiteRow | undefined {
  const within = rows.filter((row) => row.data === data && row.bitsPerWeight <= most);
  return within.reduce<SuiteRow | undefined>(
    (best, row) => (best && best.sqnrDb >= row.sqnrDb ? best : row),
    undefined,
  );
}

interface ChartsProps {
  readonly rows: readonly SuiteRow[];
  readonly over: string | undefined;
  readonly look: (label: string | undefined) => void;
}

function Charts({ rows, over, look }: ChartsProps) {
  const columns = (width: number): number => (width >= 720 ? 2 : 1);
  const HEIGHT = 300;
  return (
    <>
      <ul class="key">
        {Object.entries(FAMILY).map(([family, label]) => (
          <li key={family}>
            <svg width="14" height="14" aria-hidden="true">
              <path class={`mark ${family}`} d={mark(family as Family, 7, 7)} />
            </svg>
            {label}
          </li>
        ))}
        <li class="reading" aria-live="off">
          {over && <Reading rows={rows} label={over} />}
        </li>
      </ul>
      <Frame height={(width) => (HEIGHT * 4) / columns(width)}>
        {(width) => {
          const n = columns(width);
          const each = width / n;
          return (
            <svg
              width={width}
              height={(HEIGHT * 4) / n}
              role="img"
              aria-label="Bits per weight against signal to noise"
            >
              {Object.entries(DATA).map(([data, title], i) => (
                <g key={data} transform={`translate(${(i % n) * each} ${Math.floor(i / n) * HEIGHT})`}>
                  <Scatter
                    title={title}
                    rows={rows.filter((row) => row.data === data)}
                    width={each}
                    height={HEIGHT}
                    over={over}
                    look={look}
                  />
                </g>
              ))}
            </svg>
          );
        }}
      </Frame>
    </>
  );
}

function Reading({ rows, label }: { rows: readonly SuiteRow[]; label: string }) {
  const found = rows.filter((row) => row.label === label);
  return (
    <>
      <strong>{label}</strong> {digits(found[0]?.bitsPerWeight ?? 0)} bits:{' '}
      <span class="number">{found.map(({ sqnrDb }) => sqnrDb.toFixed(1)).join(' · ')} dB</span>
    </>
  );
}

/** A circle, a square or a triangle around a point: distinguishable without colour. */
function mark(family: Family, x: number, y: number, r = 4): string {
  if (family === 'affine') return `M${x - r + 0.5} ${y - r + 0.5}h${2 * r - 1}v${2 * r - 1}h${1 - 2 * r}z`;
  if (family === 'fourBit') return `M${x} ${y - r - 0.5}l${r + 0.5} ${2 * r}h${-2 * r - 1}z`;
  return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
}

interface ScatterProps extends ChartsProps {
  readonly title: string;
  readonly width: number;
  readonly height: number;
}

function Scatter({ title, rows, width, height, over, look }: ScatterProps) {
  const box = [38, 40, width - 14, height - 46] as const;
  const x = linear(X, [box[0], box[2]]);
  const y = linear(Y, [box[3], box[1]]);
  const front = useMemo(() => pareto(rows), [rows.length]);
  const line = front.map(({ bitsPerWeight, sqnrDb }, i) => `${i ? 'L' : 'M'}${x(bitsPerWeight)} ${y(sqnrDb)}`).join('');
  const nearest = (event: PointerEvent): string | undefined => {
    const svg = (event.currentTarget as SVGElement).getBoundingClientRect();
    const [px, py] = [event.clientX - svg.left + box[0], event.clientY - svg.top + box[1]];
    let [found, least] = [undefined as string | undefined, 18];
    for (const row of rows) {
      const distance = Math.hypot(x(row.bitsPerWeight) - px, y(row.sqnrDb) - py);
      if (distance < least) [found, least] = [row.label, distance];
    }
    return found;
  };
  return (
    <>
      <Axes
        x={x}
        y={y}
        box={box}
        xTicks={[2, 4, 6, 8, 10]}
        yTicks={[0, 10, 20, 30, 40, 50]}
        xLabel="bits per weight"
        yLabel={`${title}, dB`}
      />
      <line class="bound" x1={x(1)} y1={y(6.02)} x2={x(50 / 6.02)} y2={y(50)} />
      <path class="front" d={line} />
      {(['affine', 'fourBit', 'block'] as const).map((family) => (
        <path
          key={family}
          class={`mark ${family}`}
          d={rows
            .filter(({ scheme }) => scheme.kind === family)
            .map((row) => mark(family, x(row.bitsPerWeight), y(row.sqnrDb), 3.5))
            .join('')}
        />
      ))}
      {rows
        .filter(({ label }) => label === over)
        .map((row) => (
          <g key={row.label} class="over">
            <path class={`mark ${row.scheme.kind}`} d={mark(row.scheme.kind, x(row.bitsPerWeight), y(row.sqnrDb), 6)} />
            <text
              x={x(row.bitsPerWeight) + (row.bitsPerWeight > 6 ? -10 : 10)}
              y={y(row.sqnrDb) + 14}
              class={row.bitsPerWeight > 6 ? 'end' : ''}
            >
              {row.label}
            </text>
          </g>
        ))}
      <rect
        class="catch"
        x={box[0]}
        y={box[1]}
        width={Math.max(0, box[2] - box[0])}
        height={box[3] - box[1]}
        onPointerMove={(event) => look(nearest(event))}
        onPointerDown={(event) => look(nearest(event))}
        onPointerLeave={() => look(undefined)}
      />
    </>
  );
}

/** The schemes on the Pareto front of both values. */
function pareto(rows: readonly SuiteRow[]): SuiteRow[] {
  let best = -Infinity;
  return rows
    .toSorted((a, b) => a.bitsPerWeight - b.bitsPerWeight || b.sqnrDb - a.sqnrDb)
    .filter(({ sqnrDb }) => {
      if (sqnrDb <= best) return false;
      best = sqnrDb;
      return true;
    });
}

function Table({ rows }: { rows: readonly SuiteRow[] }) {
  const byLabel = Map.groupBy(rows, ({ label }) => label);
  const sorted = [...byLabel].sort(([, [a]], [, [b]]) => (a?.bitsPerWeight ?? 0) - (b?.bitsPerWeight ?? 0));
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Scheme</th>
          <th scope="col" class="right">
            Bits
          </th>
          {Object.values(DATA).map((title) => (
            <th key={title} scope="col" class="right">
              {title}, dB
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {sorted.map(([label, found]) => (
          <tr key={label}>
            <th scope="row">{label}</th>
            <td class="right number">{digits(found[0]?.bitsPerWeight ?? 0)}</td>
            {Object.keys(DATA).map((data) => (
              <td key={data} class="right number">
                {found.find((row) => row.data === data)?.sqnrDb.toFixed(2)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
