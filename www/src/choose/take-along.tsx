import { llamaCommand, quantpressCommand } from '../recipe/command.ts';
import { recipeQuery } from '../recipe/fragment.ts';
import { outputName } from '../recipe/names.ts';
import { opened } from '../state/model.ts';
import { imatrix, recipe } from '../state/recipe.ts';
import { Copyable } from '../ui/copy.tsx';

/** The recipe for elsewhere: as commands, as JSON, as a link. The link holds the recipe, never the name of a file. */
export function TakeAlong() {
  const fileName = opened.value?.fileName ?? 'model.gguf';
  const files = { input: fileName, output: outputName(fileName, recipe.value), imatrix: imatrix.value?.name };
  const link = `${location.origin}${location.pathname.replace(/url\.html$/, '')}#/?${recipeQuery(recipe.value)}`;
  return (
    <section class="along" aria-labelledby="along">
      <h2 id="along">Take the recipe along</h2>
      <Copyable label="For the command line" text={quantpressCommand(recipe.value, files)} />
      <Copyable label="For llama.cpp, the same bytes" text={llamaCommand(recipe.value, files)} />
      <Copyable label="As JSON, for the library" text={JSON.stringify(recipe.value)} />
      <Copyable label="As a link, without the model" text={link} />
    </section>
  );
}
