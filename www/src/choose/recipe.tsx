import { plan, recipeName } from '../state/recipe.ts';
import { bytes } from '../text.ts';
import { Changes } from './changes.tsx';
import { ImatrixFile } from './imatrix-file.tsx';
import { Options } from './options.tsx';
import { Presets } from './presets.tsx';

/** The recipe: a preset, an importance matrix, and changes. */
export function RecipeCard() {
  return (
    <section class="card recipe" aria-labelledby="recipe">
      <h2 id="recipe">Recipe</h2>
      <p class="sum">
        <strong>{recipeName.value}</strong>
        <span class="number">{plan.value ? bytes(plan.value.size) : ' '}</span>
      </p>
      <Presets />
      <ImatrixFile />
      <Changes />
      <Options />
    </section>
  );
}
