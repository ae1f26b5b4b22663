import { useSignal } from '@preact/signals';
import { result } from '../state/job.ts';
import { opened, type Opened } from '../state/model.ts';
import { Lazy } from '../ui/lazy.tsx';

/** More than this llama.cpp in a browser does not load from one file. */
const MOST = 2 ** 31 - 1;

const part = () => import('./index.tsx');

/** The way to running the result beside the original. What runs them is fetched when somebody wants it. */
export function Try() {
  const wanted = useSignal(false);
  const current = opened.value;
  const obstacle = current && obstacleOf(current);
  return (
    <section class="try" aria-labelledby="try">
      <h2 id="try">Try it</h2>
      <p class="soft">
        Runs the original and the result in this tab, and shows how they go on with the same words and how well they
        foresee the same text.
      </p>
      {obstacle ? (
        <p class="note small">{obstacle}</p>
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

/** Why a model cannot be run here. */
function obstacleOf({ model, files }: Opened): string | undefined {
  if (model.container !== 'gguf') return 'Only GGUF files can be run here.';
  if (!model.metadata.has('tokenizer.ggml.model'))
    return 'This is no language model, or its words are not in the file.';
  if (!files) return 'A model behind an address would have to be read as a whole: download it to try it.';
  if (files.some(({ size }) => size > MOST)) return 'The original is larger than the 2 GB that a browser can run.';
  return undefined;
}
