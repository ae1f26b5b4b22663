import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { type Items, Rows } from './rows.tsx';

/** A column: its heading, and whether it contains numbers. */
export type Column = readonly [heading: string, kind?: 'number'];

interface Props<T> {
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly items: Items<T>;
  /** The cells of a row, the first of which names it. */
  readonly cells: (item: T, index: number) => readonly ComponentChildren[];
}

/** The values of a chart as a collapsed table below it. Only the visible rows are rendered, when it is opened. */
export function Twin<T>({ caption, columns, items, cells }: Props<T>) {
  const open = useSignal(false);
  return (
    <details class="twin" onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Show as a table</summary>
      {open.value && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard
        <section class="scroll" tabIndex={0} aria-label={caption}>
          <table>
            <caption class="visually-hidden">{caption}</caption>
            <thead>
              <tr>
                {columns.map(([heading, kind]) => (
                  <th key={heading} scope="col" class={kind && 'right'}>
                    {heading}
                  </th>
                ))}
              </tr>
            </thead>
            <Rows
              items={items}
              columns={columns.length}
              row={(item, row) => (
                <tr key={row} aria-rowindex={row + 2}>
                  {cells(item, row).map((cell, column) =>
                    column === 0 ? (
                      <th key={columns[0]?.[0]} scope="row">
                        {cell}
                      </th>
                    ) : (
                      <td key={columns[column]?.[0]} class={columns[column]?.[1] && 'right number'}>
                        {cell}
                      </td>
                    ),
                  )}
                </tr>
              )}
            />
          </table>
        </section>
      )}
    </details>
  );
}
