import { useSignal } from '@preact/signals';
import { total } from '../state/analysis.ts';
import { listBy, listed, listOnly, order } from '../state/list.ts';
import { select, selected } from '../state/selection.ts';
import { bytes, errorText, shape } from '../text.ts';
import { type Items, Rows } from '../ui/rows.tsx';
import { listed as inList } from '../ui/visible.ts';
import { ORDERS } from './list.ts';
import type { Damage } from './tensor-damage.ts';

const NONE: Items<Damage> = [];

/** Every tensor: its shape, its old and new type, the reason, and the error. */
export function TensorTable() {
  const text = useSignal('');
  const all = total.value?.tensors.length ?? 0;
  const rows = listed.value ?? NONE;
  return (
    <section class="tensors" aria-labelledby="tensors">
      <h2 id="tensors">Every tensor</h2>
      <div class="tools">
        <input
          type="search"
          placeholder="Filter by name"
          aria-label="Filter tensors by name"
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            listOnly(text.value);
          }}
        />
        <label>
          <span class="soft">by</span>{' '}
          <select value={order.value} onChange={(event) => listBy(event.currentTarget.value)}>
            {Object.keys(ORDERS).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <span class="soft" aria-live="polite">
          {rows.length} of {all}
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
            items={rows}
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
            {inList(name)}
          </button>
        ) : (
          inList(name)
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
