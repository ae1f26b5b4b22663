import { total } from '../state/analysis.ts';
import { busy } from '../state/model.ts';
import { setTensorType } from '../state/recipe.ts';
import { select } from '../state/selection.ts';
import { bytes, percent } from '../text.ts';
import { raised, worst, type Damage } from './damage.ts';

const SHOWN = 6;

/** The most damaged tensors, each with the next better type at the cost it has. */
export function Offenders() {
  const damaged = worst((total.value?.tensors ?? []).filter(({ error }) => error !== undefined && error > 0));
  return (
    <section class="offenders" aria-labelledby="offenders">
      <h2 id="offenders">Most damaged</h2>
      <ol>
        {damaged.slice(0, SHOWN).map((tensor) => (
          <Offender key={tensor.name} tensor={tensor} />
        ))}
      </ol>
    </section>
  );
}

function Offender({ tensor }: { tensor: Damage }) {
  const { name, planned, error = 0 } = tensor;
  const better = raised(tensor);
  return (
    <li>
      <button type="button" class="plain mono" onClick={() => select(name)}>
        {name}
      </button>
      <span class="number">{percent(error)}</span>
      <span class="soft">{planned.to}</span>
      {better ? (
        <button
          type="button"
          class="small"
          disabled={busy.value}
          title={`Error ${percent(error)} to ${percent(better.relativeRmse)}`}
          onClick={() => setTensorType(name, better.format)}
        >
          Raise to {better.format} <span class="number">+{bytes(better.bytes - planned.targetBytes)}</span>
        </button>
      ) : (
        <span class="soft small">no better type</span>
      )}
    </li>
  );
}
