import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/** A list of up to this many rows is rendered as a whole. */
const WHOLE = 120;
/** The number of rows of a longer list that are rendered at once: several screens of a scrolling box. */
const WINDOW = 120;
/** The window begins at a multiple of this, and at least this many rows before the first visible one. */
const STEP = 30;

/** A list whose items may be created on demand. */
export interface Items<T> {
  readonly length: number;
  at(index: number): T | undefined;
}

interface Props<T> {
  readonly items: Items<T>;
  /** The number of columns, for the spacer rows. */
  readonly columns: number;
  /** A `tr`; its `aria-rowindex` is `index + 2`, because the heading is row 1. */
  readonly row: (item: T, index: number) => ComponentChildren;
}

/**
 * The body of a table in a `.scroll` box. Of a long list only the rows near the visible ones are in the document; two
 * spacer rows have the height of the others, so the scroll bar matches the whole list. All rows must have the same
 * height: the table gets the class `windowed`, in which lines do not wrap.
 */
export function Rows<T>({ items, columns, row }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const first = useSignal(0);
  const height = useSignal(33);
  const long = items.length > WHOLE;
  useLayoutEffect(() => {
    const table = body.current?.closest('table');
    const scroller = body.current?.closest('.scroll');
    table?.setAttribute('aria-rowcount', String(items.length + 1));
    table?.classList.toggle('windowed', long);
    if (!scroller || !long) return undefined;
    const look = (): void => {
      const line = body.current?.querySelector<HTMLElement>('tr:not(.room)');
      if (line && line.offsetHeight > 0) height.value = line.offsetHeight;
      const top = Math.floor(scroller.scrollTop / height.value);
      first.value = Math.max(0, (Math.floor(top / STEP) - 1) * STEP);
    };
    look();
    scroller.addEventListener('scroll', look, { passive: true });
    return () => scroller.removeEventListener('scroll', look);
  }, [items, long, first, height]);
  const from = long ? Math.min(first.value, Math.max(0, items.length - WINDOW)) : 0;
  const to = long ? Math.min(items.length, from + WINDOW) : items.length;
  return (
    <tbody ref={body}>
      {from > 0 && <Room key="above" rows={from} height={height.value} columns={columns} />}
      {Array.from({ length: to - from }, (_, at) => {
        const item = items.at(from + at);
        return item === undefined ? null : row(item, from + at);
      })}
      {to < items.length && <Room key="below" rows={items.length - to} height={height.value} columns={columns} />}
    </tbody>
  );
}

function Room({ rows, height, columns }: { rows: number; height: number; columns: number }) {
  return (
    <tr class="room">
      <td colSpan={columns} style={{ height: `${rows * height}px` }} />
    </tr>
  );
}
