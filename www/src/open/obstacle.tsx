import { busy, opened } from '../state/model.ts';
import { changeRecipe, recipe } from '../state/recipe.ts';

/** Why the open model cannot be converted, and the consent to a plain container if one can be written. */
export function Obstacle() {
  const { obstacle, plainly = false } = opened.value ?? {};
  if (obstacle === undefined) return null;
  const agreed = plainly && (recipe.value.plain ?? false);
  return (
    <div class={agreed ? 'note obstacle' : 'error obstacle'}>
      <p role="alert">{obstacle}</p>
      {plainly && (
        <>
          <label>
            <input
              type="checkbox"
              checked={agreed}
              disabled={busy.value}
              aria-describedby="plain"
              onChange={(event) => changeRecipe({ plain: event.currentTarget.checked })}
            />{' '}
            Make a plain container
          </label>
          <p class="soft small" id="plain">
            A GGUF file with the tensors under their own names. The architecture, hyperparameters and tokenizer are left
            out, so no program can run it as it is.
          </p>
        </>
      )}
    </div>
  );
}
