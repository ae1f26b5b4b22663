import { total } from '../state/analysis.ts';
import { busy } from '../state/model.ts';
import { setTensorType } from '../state/recipe.ts';
import { select } from '../state/selection.ts';
import { bytes, errorText } from '../text.ts';
import { listed } from '../ui/visible.ts';
import { raised } from './damage.ts';
import type { Damage } from './tensor-damage.ts';

const SHOWN = 6;

/** The tensors with the largest errors, each with the next better type and its cost. */
export function Offenders() {
  return (
    <section class="offenders" aria-labelledby="offenders">
      <h2 id="offenders">Largest errors</h2>
      <ol>
        {(total.value?.worst ?? []).slice(0, SHOWN).map((tensor) => (
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
        {listed(name)}
      </button>
      <span class="number">{errorText(error)}</span>
      <span class="soft">{planned.to}</span>
      {better ? (
        <button
          type="button"
          class="small"
          disabled={busy.value}
          title={`Weight error ${errorText(error)} to ${errorText(better.relativeRmse)}`}
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
