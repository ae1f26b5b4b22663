import { useEffect, useRef } from 'preact/hooks';
import { choices, choose, chosen, imatrix, job, opened, type Choice, useImatrix } from '../state.ts';
import { bytes, percent } from '../text.ts';

/** Every preset with the size it gives on this model: exact, since sizes follow from shapes. */
export function Presets() {
  const size = opened.value?.model.source.size ?? 1;
  const list = useRef<HTMLFieldSetElement>(null);
  // Where the list scrolls in itself, on a phone, what is chosen is in sight when a model opens.
  useEffect(() => {
    const row = list.current?.querySelector<HTMLElement>('.preset:has(:checked)');
    if (list.current && row) list.current.scrollTop = row.offsetTop - list.current.clientHeight / 2;
  }, [opened.value]);
  return (
    <section>
      <h2 id="presets">Choose a preset</h2>
      <Imatrix />
      <fieldset ref={list} class="presets" aria-labelledby="presets" disabled={job.value.state === 'running'}>
        {choices.value.map((choice) => (
          <Row key={choice.preset.name} choice={choice} size={size} />
        ))}
      </fieldset>
    </section>
  );
}

function Row({ choice, size }: { choice: Choice; size: number }) {
  const { preset, plan, refusal, lacksImportance } = choice;
  return (
    <label class={refusal ? 'preset refused' : 'preset'}>
      <input
        type="radio"
        name="preset"
        value={preset.name}
        checked={chosen.value === preset.name}
        disabled={refusal !== undefined}
        onChange={() => choose(preset.name)}
      />
      <span>{preset.name}</span>
      <span class="track" aria-hidden="true">
        {plan && <i style={{ width: `${Math.min(100, (plan.size / size) * 100)}%` }} />}
      </span>
      <span class="number">{plan && bytes(plan.size)}</span>
      <span class="number soft share">
        {lacksImportance ? <abbr title={refusal}>imatrix</abbr> : plan && percent(plan.size / size)}
      </span>
      {refusal && !lacksImportance && <span class="note">{refusal}</span>}
    </label>
  );
}

/** Which columns of a tensor matter: measured by llama-imatrix, demanded by the smallest formats. */
function Imatrix() {
  const input = useRef<HTMLInputElement>(null);
  const disabled = job.value.state === 'running';
  return (
    <p class="imatrix">
      <span>
        Importance matrix: <strong>{imatrix.value?.name ?? 'none'}</strong>
      </span>
      {imatrix.value ? (
        <button type="button" class="small" disabled={disabled} onClick={() => void useImatrix(undefined)}>
          Remove
        </button>
      ) : (
        <>
          <button type="button" class="small" disabled={disabled} onClick={() => input.current?.click()}>
            Choose…
          </button>
          {opened.value?.sample && (
            <button type="button" class="small" disabled={disabled} onClick={() => void useImatrix('sample')}>
              Use the sample’s
            </button>
          )}
        </>
      )}
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        tabIndex={-1}
        aria-label="Importance matrix file"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) void useImatrix(file);
        }}
      />
    </p>
  );
}
