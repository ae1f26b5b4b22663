import { useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { total } from '../state/analysis.ts';
import { select, selected } from '../state/selection.ts';
import { bytes, errorText, shape } from '../text.ts';
import { Rows } from '../ui/rows.tsx';
import { listed } from '../ui/visible.ts';
import { descending } from './order.ts';
import type { Damage } from './tensor-damage.ts';

const NONE: readonly Damage[] = [];

/** What the table can be sorted by. */
const ORDERS: Record<string, ((tensor: Damage) => number) | undefined> = {
  'order of the file': undefined,
  'error, worst first': ({ error }) => error ?? 0,
  'size, largest first': ({ planned }) => planned.targetBytes,
};

/** Every tensor: what it is, what it becomes, why, and what that costs. */
export function TensorTable() {
  const filter = useSignal('');
  const order = useSignal('order of the file');
  const tensors = total.value?.tensors ?? NONE;
  const wanted = filter.value.trim().toLowerCase();
  const found = useMemo(
    () => (wanted === '' ? tensors : tensors.filter(({ name }) => name.toLowerCase().includes(wanted))),
    [tensors, wanted],
  );
  const sorted = useMemo(() => {
    const key = ORDERS[order.value];
    return key ? descending(found, key) : found;
  }, [found, order.value]);
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
                Weight error
              </th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <Rows
            items={sorted}
            columns={8}
            row={(tensor, index) => <Row key={tensor.name} tensor={tensor} index={index} />}
          />
        </table>
      </section>
    </section>
  );
}

function Row({ tensor: { name, planned, error }, index }: { tensor: Damage; index: number }) {
  return (
    <tr
      class={planned.to === planned.from ? 'same' : undefined}
      aria-rowindex={index + 2}
      aria-current={selected.value === name || undefined}
    >
      <td class="name">
        {planned.shape.length > 1 ? (
          <button type="button" class="plain" onClick={() => select(name)}>
            {listed(name)}
          </button>
        ) : (
          listed(name)
        )}
      </td>
      <td class="number">{shape(planned.shape)}</td>
      <td>{planned.from}</td>
      <td class="to">{planned.to}</td>
      <td class="right number">{bytes(planned.sourceBytes)}</td>
      <td class="right number">{bytes(planned.targetBytes)}</td>
      <td class="right number">{error === undefined ? '' : error === 0 ? '–' : errorText(error)}</td>
      <td class="why">{planned.why}</td>
    </tr>
  );
}
