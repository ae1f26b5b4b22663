import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { keptTotal, points, standing, total, type Point } from '../state/analysis.ts';
import { kept, nameOf, recipeName } from '../state/recipe.ts';
import type { Standing } from '../state/transitions.ts';
import { bytes, byteTicks, digits, errorText } from '../text.ts';
import { linear, logarithmic, logTicks, ticks, type Scale } from '../ui/scale.ts';
import { Twin } from '../ui/twin.tsx';
import { useWidth } from '../ui/width.ts';
import { placeLabels } from './chart-labels.ts';
import { MARGIN } from './chart-margin.ts';
import { SizeTarget } from './size-target.tsx';
import { decibels } from './damage.ts';
import { frontier } from './frontier.ts';

const HEIGHT = 320;
/** Half the width of an axis label: nearer to the edge it does not fit. */
const TICK = 30;
/** The pointer selects a dot within this distance: pixels. */
const REACH = 24;

/** Size against error: every preset on this model, with the best ones joined and the current recipe marked. */
export function Chart() {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const shown = points.value.filter((point): point is Measured => !!point.error);
  return (
    <section class="chart" aria-labelledby="chart">
      <h2 id="chart">What each preset costs</h2>
      <p class="soft small">
        Each dot is a preset on this model: further left is smaller, further down is closer to the original. The line
        joins the presets that no other preset beats.
      </p>
      <div class="plot" ref={box}>
        {width.value > 0 && shown.length > 1 ? (
          <Plot points={shown} width={width.value} />
        ) : (
          <p class="soft placeholder">{PLACEHOLDER[standing.value]}</p>
        )}
      </div>
      <Twin
        caption="Size and error of each preset"
        columns={[
          ['Preset'],
          ['Size', 'number'],
          ['Bits per weight', 'number'],
          ['Weight error', 'number'],
          ['SQNR', 'number'],
          ['Best for its size'],
        ]}
        items={shown}
        cells={cells(shown)}
      />
    </section>
  );
}

/** The placeholder of the chart, or why there is none. */
const PLACEHOLDER: Record<Standing, string> = {
  none: 'Open a model to see what each preset costs.',
  opening: 'Measuring every preset on this model…',
  unusable: 'This model cannot be converted, so there is nothing to measure.',
  measuring: 'Measuring every preset on this model…',
  measured: 'Too few presets can be measured on this model for a chart.',
  unmeasured: 'The presets could not be measured on this model.',
};

/** A preset whose error is known. */
export interface Measured extends Point {
  readonly error: number;
}

function cells(shown: readonly Measured[]) {
  const best = new Set(frontier(shown));
  return (point: Measured) => [
    point.name,
    bytes(point.size),
    digits(point.bitsPerWeight, 3),
    errorText(point.error),
    `${digits(decibels(point.error), 3)} dB`,
    best.has(point) ? 'yes' : '',
  ];
}

function Plot({ points, width }: { points: readonly Measured[]; width: number }) {
  const sizes = points.map(({ size }) => size);
  const errors = points.map(({ error }) => error);
  const domain = [Math.min(...sizes) * 0.96, Math.max(...sizes) * 1.03] as const;
  const range = [Math.min(...errors) * 0.85, Math.max(...errors) * 1.15] as const;
  const x = linear(domain, [MARGIN.left, width - MARGIN.right]);
  const y = logarithmic(range, [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const best = frontier(points);
  const now = total.value;
  const over = useSignal<string | undefined>(undefined);
  const read = points.find(({ name }) => name === over.value);
  /** The dot nearest to a position, if one is near enough. */
  const look = (at: readonly [number, number] | undefined): void => {
    let [found, least] = [undefined as string | undefined, REACH];
    for (const { name, size, error } of at ? points : []) {
      const distance = Math.hypot(x(size) - (at?.[0] ?? 0), y(error) - (at?.[1] ?? 0));
      if (distance < least) [found, least] = [name, distance];
    }
    over.value = found;
  };
  return (
    <>
      <svg width={width} height={HEIGHT} aria-hidden="true">
        <Axes x={x} y={y} xs={ticks(domain, width / 110)} ys={logTicks(range)} width={width} />
        <polyline class="frontier" points={best.map((p) => `${x(p.size)},${y(p.error)}`).join(' ')} />
        {points.map((point) => (
          <circle
            key={point.name}
            data-preset={point.name}
            class={point.refused ? 'dot refused' : best.includes(point) ? 'dot best' : 'dot'}
            cx={x(point.size)}
            cy={y(point.error)}
            r={best.includes(point) ? 4.5 : 3.5}
          />
        ))}
        {placeLabels(best, points, x, y, [MARGIN.left, width - 2]).map(({ text, left, top, anchor }) => (
          <text key={text} class="label" x={left} y={top} text-anchor={anchor}>
            {text}
          </text>
        ))}
        <Mark x={x} y={y} at={keptTotal.value} label={kept.value && nameOf(kept.value)} kind="kept" width={width} />
        <Mark x={x} y={y} at={now} label={recipeName.value} kind="chosen" width={width} />
        {read && <circle class="mark read" cx={x(read.size)} cy={y(read.error)} r={7} />}
      </svg>
      {read && <Reading point={read} x={x(read.size)} y={y(read.error)} width={width} />}
      <SizeTarget domain={domain} x={x} width={width} height={HEIGHT} look={look} />
    </>
  );
}

interface AxesProps {
  x: Scale;
  y: Scale;
  xs: readonly number[];
  ys: readonly number[];
  width: number;
}

function Axes({ x, y, xs, ys, width }: AxesProps) {
  const bottom = HEIGHT - MARGIN.bottom;
  // A label that would overflow is omitted: moved, it would mark a wrong position.
  const texts = byteTicks(xs);
  const labelled = xs
    .map((value, index) => ({ value, text: texts[index] }))
    .filter(({ value }) => x(value) >= TICK && x(value) <= width - TICK);
  return (
    <g class="axes">
      {ys.map((value) => (
        <g key={value}>
          <line x1={MARGIN.left} x2={width - MARGIN.right} y1={y(value)} y2={y(value)} />
          <text x={MARGIN.left - 8} y={y(value) + 4} text-anchor="end">
            {tickText(value)}
          </text>
        </g>
      ))}
      {labelled.map(({ value, text }) => (
        <g key={value}>
          <line class="tick" x1={x(value)} x2={x(value)} y1={bottom} y2={bottom + 5} />
          <text x={x(value)} y={bottom + 20} text-anchor="middle">
            {text}
          </text>
        </g>
      ))}
      <line class="base" x1={MARGIN.left} x2={width - MARGIN.right} y1={bottom} y2={bottom} />
    </g>
  );
}

/** 0.05 -> "5%". */
function tickText(share: number): string {
  return `${Number((100 * share).toPrecision(6))}%`;
}

/** The tooltip: a preset, its size and its error, next to its dot. */
function Reading({ point, x, y, width }: { point: Measured; x: number; y: number; width: number }) {
  const side = x > width / 2 ? { right: `${width - x + 12}px` } : { left: `${x + 12}px` };
  return (
    <p class="reading small" role="tooltip" style={{ ...side, top: `${Math.max(0, y - 22)}px` }}>
      <strong>{point.name}</strong>
      <br />
      <span class="number">
        {bytes(point.size)}, {errorText(point.error)}
      </span>
      {point.refused && <span class="soft"> needs an importance matrix</span>}
    </p>
  );
}

interface MarkProps {
  x: Scale;
  y: Scale;
  at: { size: number; error: number | undefined } | undefined;
  label: string | undefined;
  kind: 'kept' | 'chosen';
  width: number;
}

/** A recipe: a ring at its position, and its name. */
function Mark({ x, y, at, label, kind, width }: MarkProps) {
  if (!at?.error || !label) return null;
  const [cx, cy] = [x(at.size), y(at.error)];
  if (cx < 0 || cx > width || !Number.isFinite(cy)) return null;
  return <circle class={`mark ${kind}`} cx={cx} cy={Math.min(Math.max(cy, 8), HEIGHT - 8)} r={7} />;
}
