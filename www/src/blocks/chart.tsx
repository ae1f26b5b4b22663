import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { linear, ticks } from '../ui/scale.ts';
import { after, before, chosen, hovered, lit, look, setWeight, setWeights, table, writable } from './state.ts';
import type { Layout } from './layouts.ts';
import { figure } from './text.ts';

const HEIGHT = 190; // height of the weights of a row
const ERRORS = 46; // height of the errors below them
const LEFT = 40;
const INDEX = 16; // height of the weight numbers below a row
const GRIP = 32; // pixels that a finger needs
const THIN = 4; // minimum pixels per weight

/** The weights before and after, and their errors. Weights can be dragged, or changed with the keyboard. */
export function Chart() {
  const frame = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  useEffect(() => {
    if (!frame.current) return;
    const watch = new ResizeObserver(([entry]) => (width.value = Math.floor(entry?.contentRect.width ?? 0)));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, [width]);
  const { weights } = table.value;
  const room = width.value - LEFT;
  // Whole runs per row, with as few rows as keep a weight visible.
  const perRow = [256, 128, 64, 32].find((n) => n <= weights && room / n >= THIN) ?? Math.min(weights, 32);
  const held = useRef<readonly [number, number] | undefined>(undefined);
  const domain = held.current ?? domainOf(before.value, after.value);
  const rows = Math.ceil(weights / perRow);
  return (
    <div class="chart" ref={frame} style={{ minHeight: `${HEIGHT + ERRORS + INDEX}px` }}>
      {width.value > 0 &&
        Array.from({ length: rows }, (_, row) => (
          <Row
            key={row}
            from={row * perRow}
            count={Math.min(perRow, weights - row * perRow)}
            width={width.value}
            errors={before.value ? ERRORS : 4}
            height={rows === 1 ? HEIGHT : rows === 2 ? 130 : 96}
            domain={domain}
            hold={(on) => (held.current = on ? domain : undefined)}
          />
        ))}
    </div>
  );
}

/** The range of all weights and zero, with some margin; non-finite values are not shown. */
function domainOf(x: Float32Array | undefined, y: Float32Array): readonly [number, number] {
  let [low, high] = [0, 0];
  for (const list of [x ?? [], y]) {
    for (const w of list) {
      if (!Number.isFinite(w)) continue;
      if (w < low) low = w;
      if (w > high) high = w;
    }
  }
  const air = (high - low || 1) * 0.06;
  return [low === 0 && high > 0 ? 0 : low - air, high + air];
}

interface RowProps {
  readonly from: number;
  readonly count: number;
  readonly width: number;
  readonly height: number;
  /** Pixels for the errors, or the gap between rows without errors. */
  readonly errors: number;
  readonly domain: readonly [number, number];
  readonly hold: (on: boolean) => void;
}

function Row({ from, count, width, height, errors: below, domain, hold }: RowProps) {
  const [x, y] = [before.value, after.value];
  const step = Math.min((width - LEFT) / count, 64);
  const up = linear(domain, [height - 4, 4]);
  const place = (i: number) => LEFT + (i - from) * step;
  const bar = Math.max(1, step * 0.62);
  const ink = useMemo(() => (x ? paths(x, from, count) : ''), [x, from, count, step, domain[0], domain[1], height]);
  const dots = useMemo(() => marks(y), [y, from, count, step, domain[0], domain[1], height]);
  const worst = useMemo(() => worstOf(x, y), [x, y]);
  const errors = useMemo(() => errorPaths(), [x, y, from, count, step]);
  const last = useRef<number | undefined>(undefined);
  const dragging = useRef(false);

  function paths(list: Float32Array, start: number, n: number): string {
    let path = '';
    const zero = up(0);
    for (let i = start; i < start + n; i += 1) {
      const at = place(i) + (step - bar) / 2;
      path += `M${at.toFixed(2)} ${zero.toFixed(2)}V${up(list[i] ?? 0).toFixed(2)}h${bar.toFixed(2)}V${zero.toFixed(2)}z`;
    }
    return path;
  }
  function marks(list: Float32Array): string {
    let path = '';
    for (let i = from; i < from + count; i += 1) {
      const w = list[i] ?? 0;
      if (!Number.isFinite(w)) continue;
      path += `M${(place(i) + step * 0.06).toFixed(2)} ${up(w).toFixed(2)}h${(step * 0.88).toFixed(2)}`;
    }
    return path;
  }
  function errorPaths(): string {
    if (!x || worst === 0) return '';
    const scale = linear([-worst, worst], [ERRORS - 3, 3]);
    const middle = ERRORS / 2;
    let path = '';
    for (let i = from; i < from + count; i += 1) {
      const error = (y[i] ?? 0) - (x[i] ?? 0);
      if (!Number.isFinite(error)) continue;
      const at = place(i) + (step - bar) / 2;
      path += `M${at.toFixed(2)} ${middle}V${scale(error).toFixed(2)}h${bar.toFixed(2)}V${middle}z`;
    }
    return path;
  }

  const local = (event: PointerEvent): { index: number; value: number } => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const index = from + Math.max(0, Math.min(count - 1, Math.floor((event.clientX - box.left - LEFT) / step)));
    const value = Math.max(domain[0], Math.min(domain[1], up.invert(event.clientY - box.top)));
    return { index, value };
  };
  /** Weights between two pointer events get interpolated values. */
  const paint = (index: number, value: number): void => {
    const start = last.current ?? index;
    const origin = x?.[start] ?? value;
    const steps = Math.abs(index - start);
    const changes: [number, number][] = [[index, value]];
    for (let i = 1; i < steps; i += 1) {
      changes.push([start + Math.sign(index - start) * i, origin + ((value - origin) * i) / steps]);
    }
    last.current = index;
    setWeights(changes);
  };
  const parts = partsOf(table.value);
  const every = parts ?? [1, 2, 4, 8, 16, 32, 64].find((n) => n * step >= 28) ?? 64;
  const labels = Array.from({ length: Math.ceil(count / every) }, (_, i) => from + i * every);
  const lights = bands(lit.value.weights, from, count);
  const now = look.value;
  return (
    <svg
      class="row"
      width={width}
      height={height + below + INDEX}
      aria-hidden="true"
      onPointerDown={(event) => {
        const { index, value } = local(event);
        // A finger scrolls and selects; the handle above the selected weight changes it.
        const grip = (event.target as Element).classList.contains('grip');
        if (!grip || event.pointerType === 'mouse') chosen.value = { weight: index };
        if (!(grip || event.pointerType === 'mouse') || event.button !== 0 || !writable.value) return;
        (event.currentTarget as Element).setPointerCapture(event.pointerId);
        dragging.current = true;
        last.current = undefined;
        hold(true);
        if (event.pointerType !== 'mouse') return;
        if (event.clientY - (event.currentTarget as Element).getBoundingClientRect().top < height) paint(index, value);
      }}
      onPointerMove={(event) => {
        const { index, value } = local(event);
        if (dragging.current && event.pointerType === 'mouse') {
          chosen.value = { weight: index };
          paint(index, value);
        } else if (dragging.current && 'weight' in chosen.value) {
          setWeight(chosen.value.weight, value);
        }
        const over = hovered.value;
        if (event.pointerType === 'mouse' && !(over && 'weight' in over && over.weight === index)) {
          hovered.value = { weight: index };
        }
      }}
      onPointerUp={() => {
        dragging.current = false;
        hold(false);
        hovered.value = undefined;
      }}
      onPointerCancel={() => {
        dragging.current = false;
        hold(false);
      }}
      onPointerLeave={() => (hovered.value = undefined)}
    >
      <title>Weights before and after</title>
      {lights.map(([first, length]) => (
        <rect key={first} class="band" x={place(first)} y={0} width={length * step} height={height + below} />
      ))}
      {ticks(domain, 4).map((tick) => (
        <g key={tick} class="tick">
          <line x1={LEFT} x2={LEFT + count * step} y1={up(tick)} y2={up(tick)} />
          <text x={LEFT - 8} y={up(tick)} dy="0.32em">
            {figure(tick, 3)}
          </text>
        </g>
      ))}
      {labels.map((i) => (
        <g key={i}>
          {parts && i > from && <line class="part-line" x1={place(i)} x2={place(i)} y1={0} y2={height + below} />}
          {(!parts || (i / parts) % Math.ceil(26 / (parts * step)) === 0) && (
            <text class="index" x={place(i) + step / 2} y={height + below + 11}>
              {i}
            </text>
          )}
        </g>
      ))}
      <line class="zero" x1={LEFT} x2={LEFT + count * step} y1={up(0)} y2={up(0)} />
      <path class="before" d={ink} />
      <path class="after" d={dots} style={{ strokeWidth: step > 6 ? 2.5 : 2 }} />
      {x && (
        <g transform={`translate(0 ${height})`}>
          <line class="zero" x1={LEFT} x2={LEFT + count * step} y1={ERRORS / 2} y2={ERRORS / 2} />
          {from === 0 && (
            <text class="caption" x={LEFT - 6} y={ERRORS / 2} dy="0.32em">
              error
            </text>
          )}
          <path class="errors" d={errors} />
        </g>
      )}
      {'weight' in now && now.weight >= from && now.weight < from + count && (
        <>
          <rect class="cursor" x={place(now.weight) - 1} y={0.5} width={step + 2} height={height + below - 1} rx={2} />
          <rect
            class="grip"
            x={place(now.weight) + (step - Math.max(step, GRIP)) / 2}
            width={Math.max(step, GRIP)}
            height={height}
          />
        </>
      )}
    </svg>
  );
}

/** The number of neighbours that share a sub-block scale, if any. */
function partsOf({ quantities, weights }: Layout): number | undefined {
  const size = quantities.find(({ symbol }) => symbol === 's')?.weights.length ?? 0;
  return size > 1 && size < weights ? size : undefined;
}

function worstOf(x: Float32Array | undefined, y: Float32Array): number {
  let worst = 0;
  if (x) for (let i = 0; i < x.length; i += 1) worst = Math.max(worst, Math.abs((y[i] ?? 0) - (x[i] ?? 0)) || 0);
  return Number.isFinite(worst) ? worst : 0;
}

/** Runs of neighbouring indices in a set, within a row. */
function bands(set: ReadonlySet<number>, from: number, count: number): [number, number][] {
  const runs: [number, number][] = [];
  for (let i = from; i < from + count; i += 1) {
    if (!set.has(i)) continue;
    const last = runs.at(-1);
    if (last && last[0] + last[1] === i) last[1] += 1;
    else runs.push([i, 1]);
  }
  return runs;
}

/** The selected weight as a control: up and down change it, left and right select another. */
export function Handle() {
  const now = chosen.value;
  const index = 'weight' in now ? now.weight : 0;
  const x = before.value;
  const value = x?.[index] ?? after.value[index] ?? 0;
  const { weights } = table.value;
  const [low, high] = domainOf(x, after.value);
  const fine = (high - low) / 100;
  const select = (to: number) => (chosen.value = { weight: Math.max(0, Math.min(weights - 1, to)) });
  const KEYS: Record<string, () => void> = {
    ArrowLeft: () => select(index - 1),
    ArrowRight: () => select(index + 1),
    Home: () => select(0),
    End: () => select(weights - 1),
    ArrowUp: () => setWeight(index, value + fine),
    ArrowDown: () => setWeight(index, value - fine),
    PageUp: () => setWeight(index, value + 10 * fine),
    PageDown: () => setWeight(index, value - 10 * fine),
    '0': () => setWeight(index, 0),
  };
  return (
    <div
      class="handle"
      role="slider"
      tabIndex={0}
      aria-label={`Weight ${index} of ${weights}`}
      aria-orientation="vertical"
      aria-valuemin={low}
      aria-valuemax={high}
      aria-valuenow={value}
      aria-valuetext={x ? `${figure(value)} becomes ${figure(after.value[index] ?? 0)}` : figure(value)}
      aria-readonly={!writable.value}
      onKeyDown={(event) => {
        const act = KEYS[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        hovered.value = undefined;
        act();
      }}
    >
      <span class="keys" aria-hidden="true">
        {writable.value ? '← → choose a weight, ↑ ↓ change it' : '← → choose a weight'}
      </span>
    </div>
  );
}
