import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Scale } from '../ui/scale.ts';

/** A box for a chart of any width; draws when the width is known and when it changes. */
export function Frame({
  height,
  children,
}: {
  height: (width: number) => number;
  children: (width: number) => ComponentChildren;
}) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  useEffect(() => {
    if (!box.current) return;
    const watch = new ResizeObserver(([entry]) => (width.value = Math.floor(entry?.contentRect.width ?? 0)));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [width]);
  return (
    <div ref={box} style={{ minHeight: `${height(width.value || 800)}px` }}>
      {width.value > 0 && children(width.value)}
    </div>
  );
}

interface AxesProps {
  readonly x: Scale;
  readonly y: Scale;
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
  /** The height from the top of the box. */
  readonly gap?: number;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xText?: (value: number) => string;
  readonly yText?: (value: number) => string;
}

/** Grid lines, ticks and their labels. */
export function Axes({
  x,
  y,
  box: [left, top, right, bottom],
  xTicks,
  yTicks,
  gap = 12,
  xLabel,
  yLabel,
  xText = String,
  yText = String,
}: AxesProps) {
  return (
    <g class="axes">
      {yTicks.map((tick) => (
        <g key={tick}>
          <line x1={left} x2={right} y1={y(tick)} y2={y(tick)} />
          <text x={left - 8} y={y(tick)} dy="0.32em" class="end">
            {yText(tick)}
          </text>
        </g>
      ))}
      {xTicks.map((tick) => (
        <text key={tick} x={x(tick)} y={bottom + 18} class="middle">
          {xText(tick)}
        </text>
      ))}
      <text x={right} y={bottom + 36} class="end label">
        {xLabel}
      </text>
      <text x={left} y={top - gap} class="label">
        {yLabel}
      </text>
    </g>
  );
}
