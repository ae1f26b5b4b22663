import { useSignal } from '@preact/signals';
import { result } from '../state/job.ts';
import { opened } from '../state/model.ts';
import { applied, obstacle } from '../state/recipe.ts';
import { Lazy } from '../ui/lazy.tsx';
import { whyNotRun } from './runnable.ts';

const part = () => import('./index.tsx');

/** The section for running original and result. llama.cpp is loaded on request. */
export function Try() {
  const wanted = useSignal(false);
  const current = opened.value;
  const why = current && whyNotRun({ ...current, obstacle: obstacle.value, plain: applied.value.plain });
  return (
    <section class="try" aria-labelledby="try">
      <h2 id="try">Try it</h2>
      <p class="soft">
        Runs the original and the result in this tab, completes the same prompt with both, and compares how well they
        predict the same text.
      </p>
      {why ? (
        <p class="note small">{why}</p>
      ) : wanted.value ? (
        <Lazy part={part} name="llama.cpp" />
      ) : (
        <p class="actions">
          <button type="button" disabled={!result.value} onClick={() => (wanted.value = true)}>
            Load llama.cpp
          </button>
          <span class="soft small">
            {result.value ? 'Less than a megabyte, from this site.' : 'Shrink the model first.'}
          </span>
        </p>
      )}
    </section>
  );
}
