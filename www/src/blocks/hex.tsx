import { useSignal } from '@preact/signals';
import { memo } from 'preact/compat';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Role } from './layouts.ts';
import { bits, bytes, chosen, hovered, lit, look, setByte, table } from './state.ts';
import { hex } from './text.ts';

const WIDE = '(min-width: 48rem)';

/** The encoded bytes, coloured by their role. Each can be edited. */
export function Hex() {
  const grid = useRef<HTMLTableElement>(null);
  const wide = useSignal(matchMedia(WIDE).matches);
  // The first digit of a byte, until the second one is typed.
  const half = useRef<number | undefined>(undefined);
  useEffect(() => {
    const query = matchMedia(WIDE);
    const change = () => (wide.value = query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, [wide]);
  const columns = wide.value ? 16 : 8;
  const now = chosen.value;
  const at = 'byte' in now ? now.byte : (firstLit() ?? 0);
  const shown = look.value;
  const looks = useMemo(() => cells(), [table.value]);
  const move = (to: number): void => {
    const next = Math.max(0, Math.min(bytes.value.length - 1, to));
    half.current = undefined;
    hovered.value = undefined;
    chosen.value = { byte: next };
    grid.current?.querySelector<HTMLElement>(`[data-i="${next}"]`)?.focus();
  };
  const KEYS: Record<string, (at: number) => void> = {
    ArrowLeft: (i) => move(i - 1),
    ArrowRight: (i) => move(i + 1),
    ArrowUp: (i) => i >= columns && move(i - columns),
    ArrowDown: (i) => i + columns < bytes.value.length && move(i + columns),
    Home: (i) => move(i - (i % columns)),
    End: (i) => move(i - (i % columns) + columns - 1),
    PageUp: () => move(0),
    PageDown: () => move(bytes.value.length - 1),
  };
  const type = (i: number, digit: number): void => {
    const old = bytes.value[i] ?? 0;
    if (half.current === undefined) {
      half.current = digit;
      setByte(i, (digit << 4) | (old & 15));
    } else {
      setByte(i, (old & 0xf0) | digit);
      move(i + 1);
    }
  };
  const index = (event: Event): number | undefined => {
    const cell = (event.target as Element).closest<HTMLElement>('[data-i]');
    return cell ? Number(cell.dataset.i) : undefined;
  };
  const rows = Math.ceil(bytes.value.length / columns);
  return (
    <table
      class="hex"
      // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a table whose cells are typed into is a grid
      role="grid"
      aria-label={`The ${bytes.value.length} bytes of the block`}
      aria-rowcount={rows}
      aria-colcount={columns}
      ref={grid}
      onKeyDown={(event) => {
        const i = index(event);
        if (i === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        const digit = /^[0-9a-f]$/i.test(event.key) ? Number.parseInt(event.key, 16) : undefined;
        const act = KEYS[event.key];
        if (!act && digit === undefined) return;
        event.preventDefault();
        if (digit !== undefined) type(i, digit);
        else act?.(i);
      }}
      onFocusIn={(event) => {
        const i = index(event);
        if (i !== undefined && !('byte' in chosen.value && chosen.value.byte === i)) chosen.value = { byte: i };
      }}
      onClick={(event) => {
        const i = index(event);
        if (i !== undefined) move(i);
      }}
      onPointerMove={(event) => {
        const i = event.pointerType === 'mouse' ? index(event) : undefined;
        const over = hovered.value;
        if (i !== undefined && !(over && 'byte' in over && over.byte === i)) hovered.value = { byte: i };
      }}
      onPointerLeave={() => (hovered.value = undefined)}
    >
      <tbody>
        {Array.from({ length: rows }, (_, row) => (
          <tr key={row}>
            <th scope="row" class="offset">
              {(row * columns).toString(16).padStart(2, '0')}
            </th>
            {Array.from(bytes.value.subarray(row * columns, (row + 1) * columns), (byte, column) => {
              const i = row * columns + column;
              let mask = 0;
              for (let bit = 0; bit < 8; bit += 1) if (lit.value.bits.has(8 * i + bit)) mask |= 1 << bit;
              const on = 'byte' in shown && shown.byte === i;
              return <Cell key={i} i={i} byte={byte} look={looks[i] as Look} mask={mask} tab={i === at} on={on} />;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function firstLit(): number | undefined {
  for (const bit of lit.value.bits) return bit >> 3;
  return undefined;
}

/** The appearance of a byte, except its value. */
interface Look {
  readonly role: Role;
  readonly field: string;
  readonly strip: string;
}

function cells(): Look[] {
  const { fields } = table.value;
  return Array.from({ length: table.value.bytes }, (_, i) => {
    const roles = Array.from({ length: 8 }, (_, bit) => bits.value[8 * i + bit]?.piece.role ?? 'unused');
    // Highest bit first, as the digits are read.
    const stops = roles
      .toReversed()
      .map((role, bit) => `var(--role-${role}) ${bit * 12.5}% ${bit * 12.5 + 12.5}%`)
      .join(',');
    const field = fields.find(({ offset, bytes }) => i >= offset && i < offset + bytes)?.name ?? '';
    return { role: roles[0] as Role, field, strip: `linear-gradient(90deg,${stops})` };
  });
}

interface CellProps {
  readonly i: number;
  readonly byte: number;
  readonly look: Look;
  /** The bits that belong to the selection. */
  readonly mask: number;
  readonly tab: boolean;
  readonly on: boolean;
}

const Cell = memo(({ i, byte, look: { role, field, strip }, mask, tab, on }: CellProps) => (
  <td
    // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: as its grid
    role="gridcell"
    class={mask ? (on ? 'byte tint lit on' : 'byte tint lit') : 'byte tint'}
    data-i={i}
    data-role={role}
    tabIndex={tab ? 0 : -1}
    aria-selected={on}
    aria-label={`byte ${i}, ${field}: ${hex(byte)}`}
  >
    {hex(byte)}
    <i class="strip" style={{ background: strip }} />
    {mask !== 0 && mask !== 255 && <i class="strip mark" style={{ background: marked(mask) }} />}
  </td>
));

/** The line under the bits of a mask. */
function marked(mask: number): string {
  const stops = Array.from({ length: 8 }, (_, bit) => {
    const ink = (mask >> (7 - bit)) & 1 ? 'var(--ink)' : 'transparent';
    return `${ink} ${bit * 12.5}% ${bit * 12.5 + 12.5}%`;
  });
  return `linear-gradient(90deg,${stops.join(',')})`;
}
