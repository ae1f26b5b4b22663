import { busy } from '../state/model.ts';
import { total } from '../state/analysis.ts';
import { ownType, setTensorType } from '../state/recipe.ts';
import { selected } from '../state/selection.ts';
import { bytes, digits, errorText, shape } from '../text.ts';
import { Long } from '../ui/long.tsx';
import { decibels, figure, possible } from './damage.ts';
import { Histograms } from './histograms.tsx';
import type { Damage } from './tensor-damage.ts';

/** One tensor: its new type and the reason, the histograms of its weights, and the error of every type. */
export function TensorPanel() {
  const tensor = selected.value === undefined ? undefined : total.value?.tensors.find(selected.value);
  return (
    <section class="tensor" aria-labelledby="tensor">
      <h2 id="tensor" class="mono">
        {tensor ? <Long text={tensor.name} /> : 'No tensor'}
      </h2>
      {tensor && <Inside key={tensor.name} tensor={tensor} />}
    </section>
  );
}

function Inside({ tensor }: { tensor: Damage }) {
  const { planned, error, analysis } = tensor;
  const figures = figure(analysis, planned.to);
  return (
    <>
      <p>
        {planned.from === planned.to ? `${planned.to}, kept` : `${planned.from} → ${planned.to}`}
        <span class="soft"> because: {planned.why}</span>
      </p>
      <dl class="facts small">
        <dt>Shape</dt>
        <dd class="number">{shape(planned.shape)}</dd>
        <dt>Size</dt>
        <dd class="number">
          {bytes(planned.sourceBytes)} → {bytes(planned.targetBytes)}
        </dd>
        <dt>Weight error</dt>
        <dd class="number">
          {error === undefined
            ? 'not measured'
            : error === 0
              ? 'none'
              : `${errorText(error)} (${digits(decibels(error), 3)} dB)`}
        </dd>
        {figures && (
          <>
            <dt>Cosine</dt>
            <dd class="number">{figures.cosineSimilarity.toFixed(6)}</dd>
            <dt>Largest error</dt>
            <dd class="number">{figures.maxError.toPrecision(3)}</dd>
          </>
        )}
      </dl>
      <Histograms name={planned.sourceName} format={planned.from === planned.to ? undefined : planned.to} />
      <Types tensor={tensor} />
    </>
  );
}

/** The choice of a type for this tensor. */
function Types({ tensor: { name, planned, analysis } }: { tensor: Damage }) {
  const own = ownType(name);
  const all = possible(analysis).sort((a, b) => b.bitsPerWeight - a.bitsPerWeight || a.relativeRmse - b.relativeRmse);
  if (all.length === 0) return null;
  return (
    <fieldset class="types" disabled={busy.value}>
      <legend class="small">Type</legend>
      <div class="scroll">
        <label>
          <input type="radio" name="type" checked={own === undefined} onChange={() => setTensorType(name, undefined)} />
          <span>set by the recipe</span>
        </label>
        {all.map(({ format, bytes: size, relativeRmse }) => (
          <label key={format} class={planned.to === format ? 'now' : undefined}>
            <input
              type="radio"
              name="type"
              value={format}
              checked={own === format}
              onChange={() => setTensorType(name, format)}
            />
            <span>{format}</span>
            <span class="number">{bytes(size)}</span>
            <span class="number soft">{relativeRmse === 0 ? 'exact' : errorText(relativeRmse)}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
