import { llamaCommand, llamaFolderCommands, outTypeOf, quantpressCommand, type Files } from '../recipe/command.ts';
import { recipeQuery } from '../recipe/fragment.ts';
import { outputName } from '../recipe/names.ts';
import { opened, type Opened } from '../state/model.ts';
import { applied, imatrix, recipe } from '../state/recipe.ts';
import { Copyable } from '../ui/copy.tsx';

/** Shares the recipe as commands, JSON or a link. The link contains the recipe, never the name of a file. */
export function TakeAlong() {
  const fileName = opened.value?.fileName ?? 'model.gguf';
  const files = { input: fileName, output: outputName(fileName, applied.value), imatrix: imatrix.value?.name };
  const link = `${location.origin}${location.pathname.replace(/url\.html$/, '')}#/?${recipeQuery(recipe.value)}`;
  return (
    <section class="along" aria-labelledby="along">
      <h2 id="along">Share recipe</h2>
      <Copyable label="For the command line" text={quantpressCommand(applied.value, files)} />
      <LlamaCpp model={opened.value} files={files} />
      <Copyable label="As JSON, for the library" text={JSON.stringify(applied.value)} />
      <Copyable label="As a link, without the model" text={link} />
    </section>
  );
}

/** The commands of llama.cpp's own tools, if possible: of safetensors models they read only language models. */
function LlamaCpp({ model, files }: { model: Opened | undefined; files: Files }) {
  if (!model || model.model.container === 'gguf') {
    return <Copyable label="For llama.cpp, the same bytes" text={llamaCommand(applied.value, files)} />;
  }
  if (!model.asGguf?.metadata.has('tokenizer.ggml.model')) return null;
  // The script needs the folder: if only files were selected, the folder they are in.
  const folder = model.isFolder ? files : { ...files, input: '.' };
  const text = llamaFolderCommands(applied.value, folder, outTypeOf(model.model.tensors));
  return <Copyable label="For llama.cpp, in two steps" text={text} />;
}
