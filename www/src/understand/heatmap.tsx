import { total } from '../state/analysis.ts';
import { selected, select } from '../state/selection.ts';
import { digits, errorText } from '../text.ts';
import { Twin } from '../ui/twin.tsx';
import { listed } from '../ui/visible.ts';
import { decibels } from './damage.ts';
import type { Damage } from './tensor-damage.ts';
import type { Grid, GridCell } from './grid.ts';
import { placeOf } from './layers.ts';

/** Steps of the ramp in decibels: about one for each bit less. */
const STEPS = [40, 32, 26, 20, 14, 8] as const;
/** From this step on the text is light. */
const DARK = 4;
/** With more columns than this, cells are too narrow for numbers. */
const FINE = 12;
const EMPTY: Grid = { columns: [], rows: [], others: [], left: 0 };
const NONE: readonly Damage[] = [];

/** The error of a recipe by layer (columns) and kind of tensor (rows). */
export function Heatmap() {
  const { columns, rows, others, left } = total.value?.grid ?? EMPTY;
  const fine = columns.length > FINE;
  const every = fine ? Math.ceil(columns.length / 32) * 4 : 1;
  return (
    <section class="heatmap" aria-labelledby="heatmap">
      <h2 id="heatmap">Error by tensor</h2>
      <p class="soft small">
        Signal to noise of each tensor in decibels. Darker is a larger error. Select a tensor to see its details.
      </p>
      {rows.length > 0 && (
        <section class="scroll heat" aria-label="Map of the tensors">
          <table onKeyDown={move} class={fine ? 'fine' : undefined}>
            <caption class="visually-hidden">Signal to noise by kind of tensor and layer</caption>
            <thead>
              <tr>
                <th scope="col" class="small soft">
                  layer
                </th>
                {columns.map((layer, index) => (
                  <th key={layer} scope="col" class="small soft" aria-label={`layer ${layer}`}>
                    {index % every === 0 && <span class="layer">{layer}</span>}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ kind, cells }) => (
                <tr key={kind}>
                  <th scope="row" class="mono">
                    {listed(kind)}
                  </th>
                  {cells.map((cell, column) => (
                    <td key={columns[column]}>{cell && <Cell {...cell} bare={fine} />}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {others.length > 0 && (
        <ul class="outside">
          {others.map((tensor) => (
            <li key={tensor.name}>
              <span class="mono">{listed(placeOf(tensor.name).kind)}</span> <Cell tensor={tensor} count={1} />
            </li>
          ))}
        </ul>
      )}
      {left > 0 && (
        <p class="soft small">{left} more tensors are not in this map: the list of every tensor below has them.</p>
      )}
      <Legend />
      <Twin
        caption="Signal to noise of each tensor"
        columns={[['Tensor'], ['Type'], ['Weight error', 'number'], ['SQNR', 'number']]}
        items={total.value?.tensors ?? NONE}
        cells={({ name, planned, error }) => [
          listed(name),
          planned.to,
          error === undefined ? '' : errorText(error),
          label(error),
        ]}
      />
    </section>
  );
}

function Cell({ tensor: { name, error, planned }, count, bare }: GridCell & { bare?: boolean }) {
  const step = stepOf(error);
  const current = selected.value === name;
  const worst = count > 1 ? `, the worst of ${count}` : '';
  const figure = error ? `${digits(decibels(error), 2)} dB` : label(error) || 'not measured yet';
  return (
    <button
      type="button"
      class={step === undefined ? 'cell unmeasured' : 'cell'}
      data-tensor={name}
      tabIndex={current ? 0 : -1}
      aria-pressed={current}
      // Screen readers get the displayed figure.
      aria-label={`${listed(name)}: ${planned.to}, ${figure}${worst}`}
      title={`${listed(name)}: ${planned.to}, ${label(error) || figure}${worst}`}
      style={
        step === undefined
          ? undefined
          : { background: `var(--ramp-${step})`, color: `var(--ramp-ink-${step >= DARK ? 'high' : 'low'})` }
      }
      onClick={() => select(name)}
    >
      {!bare && (error === undefined ? '·' : error === 0 ? 'kept' : digits(decibels(error), 2))}
    </button>
  );
}

function Legend() {
  return (
    <ol class="ramp small" aria-label="Colours">
      {[...STEPS, undefined].map((from, step) => (
        <li key={from}>
          <i style={{ background: `var(--ramp-${step})` }} />
          {from === undefined ? `below ${STEPS.at(-1)}` : step === 0 ? `${from} dB and more` : from}
        </li>
      ))}
      <li>
        <i class="unmeasured" />
        not measured
      </li>
    </ol>
  );
}

function label(error: number | undefined): string {
  if (error === undefined) return '';
  return error === 0 ? 'kept as it is' : `${digits(decibels(error), 3)} dB`;
}

function stepOf(error: number | undefined): number | undefined {
  if (error === undefined) return undefined;
  const value = error === 0 ? Number.POSITIVE_INFINITY : decibels(error);
  const found = STEPS.findIndex((from) => value >= from);
  return found < 0 ? STEPS.length : found;
}

const STEPS_OF_KEYS: Record<string, readonly [number, number]> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** Arrow keys move between cells. */
function move(event: KeyboardEvent): void {
  const step = STEPS_OF_KEYS[event.key];
  const cell = (event.target as HTMLElement).closest('td');
  const row = cell?.parentElement as HTMLTableRowElement | null | undefined;
  const table = row?.closest('table');
  if (!step || !cell || !row || !table) return;
  event.preventDefault();
  const next = table.rows[row.rowIndex + step[0]]?.cells[cell.cellIndex + step[1]];
  next?.querySelector('button')?.focus();
}
