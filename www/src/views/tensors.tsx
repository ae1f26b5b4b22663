import { useSignal } from '@preact/signals';
import { opened, plan } from '../state.ts';
import { bytes, shape } from '../text.ts';

const SHOWN = 400; // rows in the page at once: beyond it the filter is the way

/** Every tensor: what it is, what it becomes, and why. */
export function Tensors() {
  const filter = useSignal('');
  const model = opened.value?.model;
  if (!model) return null;
  const planned = new Map(plan.value?.tensors.map((tensor) => [tensor.name, tensor]));
  const wanted = filter.value.trim().toLowerCase();
  const found = model.tensors.filter((tensor) => tensor.name.toLowerCase().includes(wanted));
  return (
    <section class="tensors" aria-labelledby="tensors">
      <h2 id="tensors">Tensors</h2>
      <div class="tools">
        <input
          type="search"
          placeholder="Filter by name"
          aria-label="Filter tensors by name"
          value={filter.value}
          onInput={(event) => (filter.value = event.currentTarget.value)}
        />
        <span class="soft" aria-live="polite">
          {found.length} of {model.tensors.length}
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
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, SHOWN).map((tensor) => {
              const job = planned.get(tensor.name);
              return (
                <tr key={tensor.name} class={job && job.to === job.from ? 'same' : undefined}>
                  <td class="name">{tensor.name}</td>
                  <td class="number">{shape(tensor.shape)}</td>
                  <td>{tensor.type}</td>
                  <td class="to">{job?.to}</td>
                  <td class="right number">{bytes(tensor.bytes)}</td>
                  <td class="right number">{job && bytes(job.targetBytes)}</td>
                  <td class="why">{job?.why}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
    </section>
  );
}
