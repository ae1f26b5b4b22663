import { analysing, measureAll, sampled, standing, total } from '../state/analysis.ts';
import { opened } from '../state/model.ts';
import { recipeName } from '../state/recipe.ts';
import { bytes, count, digits, errorText, percent } from '../text.ts';
import { decibels, type Total } from './damage.ts';

/** The result in one line: the size before and after, and the weight error. */
export function Verdict() {
  const current = opened.value;
  const after = total.value;
  const { looked } = sampled.value;
  const before = current?.model.source.size ?? 0;
  return (
    <div class="verdict">
      {/* Each statement is a separate element, to avoid layout shifts when its text changes. */}
      <p class="line" key={`${recipeName.value} ${after?.size} ${after?.error}`}>
        {current && after ? (
          <>
            {recipeName.value}: {bytes(before)} → <em>{bytes(after.size)}</em> ({change(after.size / before)}).{' '}
            <Cost total={after} />
          </>
        ) : current ? (
          <>
            {count(current.weights)} weights in {bytes(before)}.
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

/** 0.31 -> "69% smaller". */
function change(share: number): string {
  return share <= 1 ? `${percent(1 - share)} smaller` : `${percent(share - 1)} larger`;
}

function Cost({ total: { error, outstanding } }: { total: Total }) {
  if (error === undefined) {
    return standing.value === 'measuring' ? <span class="soft">Measuring the weight error…</span> : null;
  }
  return (
    <>
      Weight error {errorText(error)} (RMS)
      {outstanding === 0
        ? ', even across tensors.'
        : `; ${outstanding === 1 ? 'one tensor is' : `${outstanding} tensors are`} far above the others.`}
    </>
  );
}

/** The number of weights behind the figures. */
function Basis() {
  const now = analysing.value;
  const error = total.value?.error;
  const { looked, all, partly } = sampled.value;
  if (now.state === 'failed') return <>The error could not be measured: {now.message}</>;
  if (!error) return null;
  return (
    <>
      Signal to noise {digits(decibels(error), 3)} dB, measured on{' '}
      {looked === all && !partly
        ? 'all of them'
        : now.state === 'running'
          ? `${count(looked)} so far`
          : `a sample of ${count(looked)}`}
      . Weight error is not output quality: compare outputs below.
      {looked < all && now.state === 'done' && (
        <button type="button" class="plain small" onClick={measureAll}>
          Measure all weights
        </button>
      )}
    </>
  );
}
