import { useEffect, useRef } from 'preact/hooks';
import { points } from '../state/analysis.ts';
import { isMix } from '../recipe/names.ts';
import { busy, opened } from '../state/model.ts';
import { choices, choosePreset, recipe, type Choice } from '../state/recipe.ts';
import { bytes, errorText } from '../text.ts';

/** Every preset with its exact size on this model, which follows from the shapes, and its measured error. */
export function Presets() {
  const size = opened.value?.model.source.size ?? 1;
  const errors = new Map(points.value.map(({ name, error }) => [name, error]));
  const list = useRef<HTMLFieldSetElement>(null);
  const { preset } = recipe.value;
  const listed = useRef(choices.value);
  // Scroll the selected preset into view, however it was selected.
  useEffect(() => {
    const row = list.current?.querySelector<HTMLElement>('.preset:has(:checked)');
    if (!list.current || !row) return;
    const above = row.offsetTop - list.current.scrollTop;
    const outside = above < 0 || above + row.offsetHeight > list.current.clientHeight;
    if (outside || listed.current !== choices.value)
      list.current.scrollTop = row.offsetTop - list.current.clientHeight / 2;
    listed.current = choices.value;
  }, [preset, choices.value]);
  return (
    <fieldset ref={list} class="presets" disabled={busy.value}>
      <legend class="visually-hidden">Preset</legend>
      {choices.value.map((choice) => (
        <Row key={choice.preset.name} choice={choice} size={size} error={errors.get(choice.preset.name)} />
      ))}
    </fieldset>
  );
}

function Row({ choice, size, error }: { choice: Choice; size: number; error: number | undefined }) {
  const { preset, plan, refusal, lacksImportance } = choice;
  return (
    <label class={refusal ? 'preset refused' : 'preset'} title={refusal ?? preset.description}>
      <input
        type="radio"
        name="preset"
        value={preset.name}
        checked={recipe.value.preset === preset.name && !isMix(recipe.value)}
        disabled={refusal !== undefined}
        onChange={() => choosePreset(preset.name)}
      />
      <span>{preset.name}</span>
      <span class="track" aria-hidden="true">
        {plan && <i style={{ width: `${Math.min(100, (plan.size / size) * 100)}%` }} />}
      </span>
      <span class="number">{plan && bytes(plan.size)}</span>
      <span class="number soft">{lacksImportance ? 'imatrix' : error ? errorText(error) : ''}</span>
      {refusal && !lacksImportance && <span class="why">{refusal}</span>}
    </label>
  );
}
