import type { ComponentChildren } from 'preact';

/** A column: its heading, and whether it holds numbers. */
export type Column = readonly [heading: string, kind?: 'number'];

/** What a chart says, as a table, folded away under it. */
export function Twin({
  caption,
  columns,
  rows,
}: {
  caption: string;
  columns: readonly Column[];
  rows: readonly (readonly ComponentChildren[])[];
}) {
  return (
    <details class="twin">
      <summary>Show as a table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
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
          <tbody>
            {rows.map((cells, row) => (
              <tr key={row}>
                {cells.map((cell, column) =>
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
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}
