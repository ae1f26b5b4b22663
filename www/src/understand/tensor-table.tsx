import { useSignal } from '@preact/signals';
import { total } from '../state/analysis.ts';
import { select, selected } from '../state/selection.ts';
import { bytes, percent, shape } from '../text.ts';
import type { Damage } from './damage.ts';

const SHOWN = 200; // rows in the page at once: beyond it the filter is the way

/** What the table can be sorted by. */
const ORDERS: Record<string, (a: Damage, b: Damage) => number> = {
  'order of the file': () => 0,
  'error, worst first': (a, b) => (b.error ?? -1) - (a.error ?? -1),
  'size, largest first': (a, b) => b.planned.targetBytes - a.planned.targetBytes,
};

/** Every tensor: what it is, what it becomes, why, and what that costs. */
export function TensorTable() {
  const filter = useSignal('');
  const order = useSignal('order of the file');
  const tensors = total.value?.tensors ?? [];
  const wanted = filter.value.trim().toLowerCase();
  const found = tensors.filter(({ name }) => name.toLowerCase().includes(wanted));
  const sorted = [...found].sort(ORDERS[order.value]);
  return (
    <section class="tensors" aria-labelledby="tensors">
      <h2 id="tensors">Every tensor</h2>
      <div class="tools">
        <input
          type="search"
          placeholder="Filter by name"
          aria-label="Filter tensors by name"
          value={filter.value}
          onInput={(event) => (filter.value = event.currentTarget.value)}
        />
        <label>
          <span class="soft">by</span>{' '}
          <select value={order.value} onChange={(event) => (order.value = event.currentTarget.value)}>
            {Object.keys(ORDERS).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <span class="soft" aria-live="polite">
          {found.length} of {tensors.length}
          {found.length > SHOWN && `, the first ${SHOWN} shown`}
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
      <section class="scroll" tabIndex={0} aria-labelledby="tensors">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Shape</th>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col" class="right">
                Before
              </th>
              <th scope="col" class="right">
                After
              </th>
              <th scope="col" class="right">
                Error
              </th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, SHOWN).map((tensor) => (
              <Row key={tensor.name} tensor={tensor} />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function Row({ tensor: { name, planned, error } }: { tensor: Damage }) {
  return (
    <tr class={planned.to === planned.from ? 'same' : undefined} aria-current={selected.value === name || undefined}>
      <td class="name">
        {planned.shape.length > 1 ? (
          <button type="button" class="plain" onClick={() => select(name)}>
            {name}
          </button>
        ) : (
          name
        )}
      </td>
      <td class="number">{shape(planned.shape)}</td>
      <td>{planned.from}</td>
      <td class="to">{planned.to}</td>
      <td class="right number">{bytes(planned.sourceBytes)}</td>
      <td class="right number">{bytes(planned.targetBytes)}</td>
      <td class="right number">{error === undefined ? '' : error === 0 ? '–' : percent(error)}</td>
      <td class="why">{planned.why}</td>
    </tr>
  );
}
