import { total } from '../state/analysis.ts';
import { selected, select } from '../state/selection.ts';
import { digits } from '../text.ts';
import { Twin } from '../ui/twin.tsx';
import { decibels, type Damage } from './damage.ts';
import { placeOf } from './layers.ts';

/** Steps of the ramp in decibels: about one for each bit less. */
const STEPS = [40, 32, 26, 20, 14, 8] as const;
/** From this step on the ink is the light one. */
const DARK = 4;

/** Layers across, kinds of tensors down: where a recipe does its damage. */
export function Heatmap() {
  const tensors = (total.value?.tensors ?? []).filter(({ planned }) => planned.shape.length > 1);
  const { kinds, layers, cells, others } = arrange(tensors);
  return (
    <section class="heatmap" aria-labelledby="heatmap">
      <h2 id="heatmap">Where the damage is</h2>
      <p class="soft small">
        Signal to noise of each tensor in decibels: more ink is more damage. Choose one to look inside.
      </p>
      {kinds.length > 0 && (
        <section class="scroll heat" aria-label="Map of the tensors">
          <table onKeyDown={move} class={layers.length > 12 ? 'fine' : undefined}>
            <caption class="visually-hidden">Signal to noise by kind of tensor and layer</caption>
            <thead>
              <tr>
                <th scope="col" class="small soft">
                  layer
                </th>
                {layers.map((layer, index) => (
                  <th key={layer} scope="col" class="small soft">
                    {layers.length > 12 && index % 4 ? <span class="visually-hidden">{layer}</span> : layer}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {kinds.map((kind) => (
                <tr key={kind}>
                  <th scope="row" class="mono">
                    {kind}
                  </th>
                  {layers.map((layer) => (
                    <td key={layer}>
                      <Cell tensor={cells.get(`${layer} ${kind}`)} bare={layers.length > 12} />
                    </td>
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
              <span class="mono">{placeOf(tensor.name).kind}</span> <Cell tensor={tensor} />
            </li>
          ))}
        </ul>
      )}
      <Legend />
      <Twin
        caption="Signal to noise of each tensor"
        columns={[['Tensor'], ['Type'], ['Error', 'number'], ['SQNR', 'number']]}
        rows={tensors.map(({ name, planned, error }) => [
          name,
          planned.to,
          error === undefined ? '' : `${digits(error * 100, 3)} %`,
          label(error),
        ])}
      />
    </section>
  );
}

function Cell({ tensor, bare }: { tensor: Damage | undefined; bare?: boolean }) {
  if (!tensor) return null;
  const { name, error, planned } = tensor;
  const step = stepOf(error);
  const current = selected.value === name;
  return (
    <button
      type="button"
      class="cell"
      data-tensor={name}
      tabIndex={current ? 0 : -1}
      aria-pressed={current}
      // The figure that is read out is the one that is seen.
      aria-label={`${name}: ${planned.to}, ${error ? `${digits(decibels(error), 2)} dB` : label(error) || 'not measured'}`}
      title={`${name}: ${planned.to}, ${label(error)}`}
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

/** The tensors by layer and kind, in the order of the file; those outside the layers apart. */
function arrange(tensors: readonly Damage[]) {
  const kinds = new Set<string>();
  const layers = new Set<number>();
  const cells = new Map<string, Damage>();
  const others: Damage[] = [];
  for (const tensor of tensors) {
    const { layer, kind } = placeOf(tensor.name);
    if (layer === undefined) {
      others.push(tensor);
      continue;
    }
    kinds.add(kind);
    layers.add(layer);
    cells.set(`${layer} ${kind}`, tensor);
  }
  return { kinds: [...kinds], layers: [...layers].sort((a, b) => a - b), cells, others };
}

const STEPS_OF_KEYS: Record<string, readonly [number, number]> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** Arrow keys go from cell to cell. */
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
