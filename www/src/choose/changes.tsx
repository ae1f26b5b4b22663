import { useSignal } from '@preact/signals';
import type { FormatName } from 'quantpress';
import { busy } from '../state/model.ts';
import { changeRecipe, changesOf, choosePreset, plan, recipe } from '../state/recipe.ts';
import { listed } from '../ui/visible.ts';
import { encodable } from './encodable.ts';

/** Up to this many rules the list is open; a mix has one for each tensor. */
const OPEN = 6;
/** The number of rules that are listed at first. */
const LISTED = 60;
/** In models with more tensors than this, the matches of a rule are not counted. */
const COUNTED = 4000;

/** The user's rules: patterns of names, and the type of the matching tensors. The first match decides. */
export function Changes() {
  const rules = recipe.value.tensorTypes ?? [];
  const all = useSignal(false);
  const pattern = useSignal('');
  const type = useSignal<FormatName>('Q6_K');
  const remove = (index: number): void => changeRecipe({ tensorTypes: rules.filter((_, other) => other !== index) });
  const add = (event: Event): void => {
    event.preventDefault();
    if (!pattern.value.trim()) return;
    changeRecipe({ tensorTypes: [{ pattern: pattern.value.trim(), type: type.value }, ...rules] });
    pattern.value = '';
  };
  return (
    <details class="changes" open={rules.length > 0 && rules.length <= OPEN}>
      <summary>Rules for tensors{rules.length > 0 && `: ${rules.length}`}</summary>
      {rules.length > 0 && (
        <ul>
          {(all.value ? rules : rules.slice(0, LISTED)).map((rule, index) => (
            <li key={rule.pattern}>
              <code>{listed(rule.pattern)}</code>
              <span class="soft">
                {rule.type}
                {fits(rule.pattern)}
              </span>
              <button
                type="button"
                class="small"
                disabled={busy.value}
                aria-label={`Remove the rule ${rule.pattern}`}
                onClick={() => remove(index)}
              >
                Remove
              </button>
            </li>
          ))}
        </ul>
      )}
      {rules.length > LISTED && (
        <button type="button" class="plain small" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>
          {all.value ? `Show the first ${LISTED}` : `Show all ${rules.length} rules`}
        </button>
      )}
      <form class="rule" onSubmit={add}>
        <input
          type="text"
          placeholder="attn_v|ffn_down"
          aria-label="Pattern of tensor names, a regular expression"
          spellcheck={false}
          value={pattern.value}
          onInput={(event) => (pattern.value = event.currentTarget.value)}
        />
        <select
          aria-label="Type of these tensors"
          value={type.value}
          onChange={(event) => (type.value = event.currentTarget.value as FormatName)}
        >
          {encodable().map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button type="submit" class="small" disabled={busy.value}>
          Add
        </button>
      </form>
      {changesOf(recipe.value) > 0 && (
        <button
          type="button"
          class="plain small"
          disabled={busy.value}
          onClick={() => choosePreset(recipe.value.preset)}
        >
          Back to {recipe.value.preset} as it is
        </button>
      )}
    </details>
  );
}

/** The number of tensors that a pattern matches, if JavaScript interprets it like the engine. */
function fits(pattern: string): string {
  const { names } = plan.value?.tensors ?? {};
  if (!names || names.length > COUNTED) return '';
  try {
    const expression = new RegExp(pattern.toLowerCase());
    let found = 0;
    for (let index = 0; index < names.length; index++) found += expression.test(names.at(index)) ? 1 : 0;
    return found === 1 ? ', 1 tensor' : `, ${found} tensors`;
  } catch {
    return ', not understood';
  }
}
