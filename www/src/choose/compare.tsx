import { differences, keptTotal, SHOWN_DIFFERENCES, total } from '../state/analysis.ts';
import { busy, opened } from '../state/model.ts';
import { dropKept, keepRecipe, kept, nameOf, recipe, swapKept } from '../state/recipe.ts';
import { bytes, digits, errorText, percent } from '../text.ts';
import { listed } from '../ui/visible.ts';
import { decibels, type Total } from '../understand/damage.ts';

/** Two recipes side by side: the kept one and the current one. */
export function Compare() {
  const [a, b] = [keptTotal.value, total.value];
  return (
    <section class="compare" aria-labelledby="compare">
      <h2 id="compare">Two recipes side by side</h2>
      <p class="actions">
        <button type="button" disabled={busy.value} onClick={keepRecipe}>
          Keep {nameOf(recipe.value)} to compare
        </button>
        {kept.value && (
          <>
            <button type="button" class="plain" disabled={busy.value} onClick={swapKept}>
              Swap
            </button>
            <button type="button" class="plain" onClick={dropKept}>
              Stop comparing
            </button>
          </>
        )}
      </p>
      {a && b && kept.value ? (
        <>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">
                    <span class="visually-hidden">Figure</span>
                  </th>
                  <th scope="col">{nameOf(kept.value)}</th>
                  <th scope="col">{nameOf(recipe.value)}</th>
                </tr>
              </thead>
              <tbody>
                {FIGURES.map(([label, figure]) => (
                  <tr key={label}>
                    <th scope="row">{label}</th>
                    <td class="number">{figure(a)}</td>
                    <td class="number">{figure(b)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <Differences />
        </>
      ) : (
        <p class="soft">Keep this recipe, then choose another: their sizes and errors appear here.</p>
      )}
    </section>
  );
}

const FIGURES: readonly [string, (total: Total) => string][] = [
  ['Size', ({ size }) => bytes(size)],
  ['Of the original', ({ size }) => percent(size / (opened.value?.model.source.size ?? size))],
  ['Bits per weight', ({ bitsPerWeight }) => digits(bitsPerWeight, 3)],
  ['Weight error (RMS)', ({ error }) => (error ? `${errorText(error)}, ${digits(decibels(error), 3)} dB` : '')],
  ['Largest error', ({ worst: [first] }) => (first?.error ? `${listed(first.name)}, ${errorText(first.error)}` : '')],
];

/** The tensors that get different types. */
function Differences() {
  const found = differences.value;
  if (!found) return <p class="soft">Comparing every tensor…</p>;
  const { count, first } = found;
  if (count === 0) return <p class="soft">They give every tensor the same type.</p>;
  const cell = (error: number | undefined) => (error ? errorText(error) : '');
  return (
    <details class="twin">
      <summary>
        {count} {count === 1 ? 'tensor differs' : 'tensors differ'}
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
      <section class="scroll" tabIndex={0} aria-label="Tensors that differ">
        <table>
          <tbody>
            {first.map(({ a, b: { name, planned, error } }) => (
              <tr key={name}>
                <td class="name">{listed(name)}</td>
                <td>{a?.planned.to ?? 'left out'}</td>
                <td class="number">{cell(a?.error)}</td>
                <td>{planned.to}</td>
                <td class="number">{cell(error)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {count > SHOWN_DIFFERENCES && <p class="soft small">The first {SHOWN_DIFFERENCES} are shown.</p>}
    </details>
  );
}
