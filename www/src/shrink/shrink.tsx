import { analysing } from '../state/analysis.ts';
import { canPick, earlier, interrupted, job, result, shrink, shrinkInto, throwAway } from '../state/job.ts';
import { busy, opened, opening } from '../state/model.ts';
import { applied, changeRecipe, obstacle, plan, recipe, recipeName, refusal, requantizes } from '../state/recipe.ts';
import { recipeQuery } from '../recipe/fragment.ts';
import { outputName } from '../recipe/names.ts';
import { bytes } from '../text.ts';
import { Done, Earlier } from './done.tsx';
import { Running } from './running.tsx';
import { canKeep } from './storage.ts';

/** The conversion: start, progress, stop, result. */
export function Shrink() {
  const current = job.value;
  return (
    <section class="card shrink" aria-labelledby="shrink">
      <h2 id="shrink">Shrink</h2>
      {current.state === 'running' ? (
        <Running job={current} />
      ) : (
        <>
          {current.state === 'failed' && (
            <p class="error" role="alert">
              {current.message}
            </p>
          )}
          {result.value && <Done result={result.value} />}
          <Start />
          {earlier.value && <Earlier result={earlier.value} />}
        </>
      )}
      {current.state !== 'running' && <Interrupted />}
    </section>
  );
}

function Start() {
  const ready = plan.value !== undefined && refusal.value === undefined && !busy.value;
  const name = opened.value && outputName(opened.value.fileName, applied.value);
  const goOn = interrupted.value.some(
    (job) => job.name === name && job.query === recipeQuery(applied.value).toString(),
  );
  const done = name !== undefined && result.value?.name === name;
  const reason = reasonNotReady();
  return (
    <>
      {requantizes.value && <Consent />}
      <p class="actions">
        <button
          type="button"
          class={done ? undefined : 'primary'}
          disabled={!ready}
          aria-describedby={reason ? 'not-ready' : undefined}
          onClick={() => void shrink()}
        >
          {goOn ? 'Resume' : done ? 'Shrink again to' : 'Shrink to'} {recipeName.value}
        </button>
        {canPick && (
          <button type="button" class="plain small" disabled={!ready} onClick={() => void shrinkInto()}>
            Save directly to a file…
          </button>
        )}
      </p>
      {reason ? (
        <p class="note small" id="not-ready" role="status">
          {reason}
        </p>
      ) : (
        <p class="soft small">
          {plan.value && `The result has ${bytes(plan.value.size)}. `}Runs in this tab, on all cores
          {analysing.value.state === 'running' ? ', during the measurement' : ''}.
          {canKeep && ' You can pause it, even by closing the tab.'}
        </p>
      )}
    </>
  );
}

/** Why the button is disabled, shown next to it. */
function reasonNotReady(): string | undefined {
  if (!opened.value) return opening.value ? undefined : 'Open a model first.';
  if (obstacle.value !== undefined) return 'This model cannot be converted: see above.';
  if (requantizes.value && !recipe.value.allowRequantize) return 'Check the box above to requantize this file.';
  return refusal.value;
}

/** The consent to requantize a quantized model. */
function Consent() {
  return (
    <div class="note small">
      <p>This file is already quantized. Requantizing it loses more than quantizing the original.</p>
      <label>
        <input
          type="checkbox"
          checked={recipe.value.allowRequantize ?? false}
          disabled={busy.value}
          onChange={(event) => changeRecipe({ allowRequantize: event.currentTarget.checked })}
        />{' '}
        Requantize
      </label>
    </div>
  );
}

/** Jobs of this or an earlier visit that were not finished. */
function Interrupted() {
  if (interrupted.value.length === 0) return null;
  return (
    <div class="note small">
      <p>Unfinished, and saved in this browser:</p>
      <ul class="interrupted">
        {interrupted.value.map((left) => (
          <li key={left.name}>
            <span>
              {left.name}, from {left.input}
            </span>
            <span class="actions">
              <a class="small" href={`#/?${left.query}`}>
                Use its recipe
              </a>
              <button type="button" class="plain small" onClick={() => void throwAway(left)}>
                Discard
              </button>
            </span>
          </li>
        ))}
      </ul>
      <p>Open the same model with the same recipe to resume.</p>
    </div>
  );
}
