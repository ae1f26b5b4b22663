import { useSignal } from '@preact/signals';
import { opened } from './model.ts';
import { MOST, PATTERNS } from './patterns.ts';
import { damage, origin, tensors, table, useNumbers, usePattern, useTensor, writable } from './state.ts';
import { errorText } from '../text.ts';
import { listed as inList } from '../ui/visible.ts';
import { figure } from './text.ts';

/** The source of the weights. */
export function Source() {
  const open = useSignal<'' | 'numbers' | 'model'>('');
  const { value } = origin;
  const pattern = value.kind === 'pattern' ? value.name : '';
  const toggle = (what: 'numbers' | 'model') => (open.value = open.value === what ? '' : what);
  return (
    <div class="sources">
      <div class="actions">
        {writable.value &&
          Object.entries(PATTERNS).map(([name, { label, about }]) => (
            <button
              key={name}
              type="button"
              class="small"
              title={about}
              aria-pressed={pattern === name}
              onClick={() => usePattern(name)}
            >
              {label}
            </button>
          ))}
        {writable.value && (
          <button
            type="button"
            class="small plain"
            aria-expanded={open.value === 'numbers'}
            onClick={() => toggle('numbers')}
          >
            Custom numbers
          </button>
        )}
        <button
          type="button"
          class="small plain"
          aria-expanded={open.value === 'model'}
          onClick={() => toggle('model')}
        >
          From the open model
        </button>
      </div>
      {open.value === 'numbers' && <Numbers />}
      {open.value === 'model' && <FromModel />}
    </div>
  );
}

function Numbers() {
  const found = useSignal<number | undefined>(undefined);
  return (
    <div class="panel">
      <label for="numbers">Up to {MOST} numbers, with any separators. Fewer numbers repeat.</label>
      <textarea
        id="numbers"
        rows={3}
        spellcheck={false}
        class="mono"
        placeholder="0.12, −0.4, 1.5e−3 …"
        onInput={(event) => (found.value = useNumbers(event.currentTarget.value))}
      />
      <p class="soft small" aria-live="polite">
        {found.value === undefined ? '' : found.value === 0 ? 'No numbers yet.' : `${found.value} read.`}
      </p>
    </div>
  );
}

/** The number of tensors listed at once; searching by name finds the others. */
const LISTED = 200;

function FromModel() {
  const { value } = origin;
  const all = tensors.value;
  const filter = useSignal('');
  const tensor = useSignal(
    value.kind === 'model' ? value.tensor : (all.find(({ shape }) => shape.length > 1)?.name ?? ''),
  );
  const [row, block] = [useSignal(0), useSignal(0)];
  const wanted = filter.value.trim().toLowerCase();
  const found = all.length <= LISTED ? all : all.filter(({ name }) => name.toLowerCase().includes(wanted));
  const chosen = all.find(({ name }) => name === tensor.value) ?? all[0];
  const shown = found.slice(0, LISTED);
  const listed = !chosen || shown.includes(chosen) ? shown : [chosen, ...shown];
  if (!opened.value) return <p class="panel soft">No model is open yet: open one on the first page.</p>;
  if (!chosen) return <p class="panel soft">No tensor of this model has rows as long as the block.</p>;
  const rows = chosen.shape.slice(1).reduce((product, n) => product * n, 1);
  const blocks = Math.floor((chosen.shape[0] ?? 0) / table.value.weights);
  const take = () => void useTensor(chosen.name, row.value, block.value * table.value.weights);
  const set = (which: typeof row, most: number) => (event: { currentTarget: HTMLInputElement }) => {
    which.value = Math.max(0, Math.min(most - 1, Math.floor(event.currentTarget.valueAsNumber || 0)));
    take();
  };
  return (
    <div class="panel from-model">
      {all.length > LISTED && (
        <label>
          <span class="soft">Part of a name</span>
          <input type="search" value={filter.value} onInput={(event) => (filter.value = event.currentTarget.value)} />
        </label>
      )}
      <label>
        <span class="soft">Tensor</span>
        <select
          value={chosen.name}
          onChange={(event) => {
            tensor.value = event.currentTarget.value;
            [row.value, block.value] = [0, 0];
            void useTensor(event.currentTarget.value, 0, 0);
          }}
        >
          {listed.map(({ name, type }) => (
            <option key={name} value={name}>
              {inList(name)} ({type})
            </option>
          ))}
        </select>
        {found.length > LISTED && (
          <span class="soft small">
            The first {LISTED} of {found.length}
          </span>
        )}
      </label>
      <label>
        <span class="soft">Row of {rows}</span>
        <input type="number" min={0} max={rows - 1} value={row.value} onChange={set(row, rows)} />
      </label>
      <label>
        <span class="soft">Block of {blocks}</span>
        <input type="number" min={0} max={blocks - 1} value={block.value} onChange={set(block, blocks)} />
      </label>
      <button type="button" class="small" onClick={take}>
        Use it
      </button>
    </div>
  );
}

/** The error of the block. */
export function Damage() {
  const lost = damage.value;
  if (!writable.value) return null;
  return (
    <dl class="damage">
      <div>
        <dt>weight error</dt>
        <dd class="number">{lost ? errorText(10 ** (-lost.sqnrDb / 20)) : '–'}</dd>
      </div>
      <div>
        <dt>largest</dt>
        <dd class="number">{lost ? figure(lost.maxError, 4) : '–'}</dd>
      </div>
      <div>
        <dt>signal to noise</dt>
        <dd class="number">{lost ? (lost.sqnrDb === Infinity ? 'exact' : `${lost.sqnrDb.toFixed(1)} dB`) : '–'}</dd>
      </div>
    </dl>
  );
}
