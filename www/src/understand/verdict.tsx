import { analysing, measureAll, sampled, standing, total } from '../state/analysis.ts';
import { opened } from '../state/model.ts';
import { recipeName } from '../state/recipe.ts';
import { bytes, count, digits, percent } from '../text.ts';
import { decibels, type Total } from './damage.ts';

/** One plain line before any chart: what there is, what the recipe makes of it, what that costs. */
export function Verdict() {
  const current = opened.value;
  const after = total.value;
  const { looked } = sampled.value;
  return (
    <div class="verdict">
      {/* A new line for each thing that is said: words that changed places in an old one would be seen to jump. */}
      <p class="line" key={`${recipeName.value} ${after?.size} ${after?.error}`}>
        {current && after ? (
          <>
            {recipeName.value} presses {bytes(current.model.source.size)} into <em>{bytes(after.size)}</em>,{' '}
            {percent(after.size / current.model.source.size)} of it. <Cost total={after} />
          </>
        ) : current ? (
          <>
            {count(current.weights)} weights in {bytes(current.model.source.size)}.
          </>
        ) : (
          <span class="soft">{standing.value === 'opening' ? 'Opening the model…' : 'No model is open.'}</span>
        )}
      </p>
      <p class="soft small" key={`${looked} ${analysing.value.state} ${after?.size}`}>
        {current && after && (
          <>
            {count(current.weights)} weights at {digits(after.bitsPerWeight, 3)} bits each. <Basis />
          </>
        )}
      </p>
    </div>
  );
}

function Cost({ total: { error, outstanding } }: { total: Total }) {
  if (error === undefined) {
    return standing.value === 'measuring' ? <span class="soft">Measuring what that costs…</span> : null;
  }
  const [worst] = outstanding;
  return (
    <>
      Typical error {percent(error)} of a weight
      {worst ? (
        <>; {outstanding.length === 1 ? 'one tensor stands out' : `${outstanding.length} tensors stand out`}.</>
      ) : (
        ', spread evenly.'
      )}
    </>
  );
}

/** What the figures rest on. */
function Basis() {
  const now = analysing.value;
  const error = total.value?.error;
  const { looked, all } = sampled.value;
  if (now.state === 'failed') return <>The error could not be measured: {now.message}</>;
  if (!error) return null;
  return (
    <>
      Signal to noise {digits(decibels(error), 3)} dB, measured on{' '}
      {looked === all
        ? 'all of them'
        : now.state === 'running'
          ? `${count(looked)} so far`
          : `a sample of ${count(looked)}`}
      . It is the error of the weights, not of what the model says.
      {looked < all && now.state === 'done' && (
        <button type="button" class="plain small" onClick={measureAll}>
          Measure all of them
        </button>
      )}
    </>
  );
}
