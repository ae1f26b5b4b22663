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
  // Scroll the selected preset into view, however it was selected, and when the list becomes shorter.
  useEffect(() => {
    showSelected(list.current, listed.current !== choices.value);
    listed.current = choices.value;
  }, [preset, choices.value]);
  useEffect(() => {
    const observer = new ResizeObserver(() => showSelected(list.current, false));
    if (list.current) observer.observe(list.current);
    return () => observer.disconnect();
  }, []);
  return (
    <fieldset ref={list} class="presets" disabled={busy.value}>
      <legend class="visually-hidden">Preset</legend>
      {choices.value.map((choice) => (
        <Row key={choice.preset.name} choice={choice} size={size} error={errors.get(choice.preset.name)} />
      ))}
    </fieldset>
  );
}

/** Scrolls the selected preset to the middle of the list, if it is out of view or `always`. */
function showSelected(list: HTMLElement | null, always: boolean): void {
  const row = list?.querySelector<HTMLElement>('.preset:has(:checked)');
  if (!list || !row) return;
  const above = row.offsetTop - list.scrollTop;
  const outside = above < 0 || above + row.offsetHeight > list.clientHeight;
  if (outside || always) list.scrollTop = row.offsetTop - (list.clientHeight - row.offsetHeight) / 2;
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
