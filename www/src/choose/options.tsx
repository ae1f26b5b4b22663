import type { FormatName } from 'quantpress';
import { busy } from '../state/model.ts';
import { changeRecipe, recipe } from '../state/recipe.ts';
import { encodable } from './encodable.ts';

type Flag = 'pure' | 'leaveOutputTensor';
type TypeOption = 'outputTensorType' | 'tokenEmbeddingType';

/** The options of llama-quantize. */
export function Options() {
  const flag = (key: Flag, label: string) => (
    <label>
      <input
        type="checkbox"
        checked={recipe.value[key] ?? false}
        disabled={busy.value}
        onChange={(event) => changeRecipe({ [key]: event.currentTarget.checked })}
      />{' '}
      {label}
    </label>
  );
  const type = (key: TypeOption, label: string) => (
    <label class="field">
      {label}
      <select
        disabled={busy.value}
        onChange={(event) =>
          changeRecipe({ [key]: (event.currentTarget.value || undefined) as FormatName | undefined })
        }
      >
        <option value="">set by the preset</option>
        {encodable().map((name) => (
          <option key={name} selected={name === recipe.value[key]}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <details class="options">
      <summary>More options</summary>
      {type('outputTensorType', 'Output tensor')}
      {type('tokenEmbeddingType', 'Token embeddings')}
      {flag('leaveOutputTensor', 'Do not quantize the output tensor')}
      {flag('pure', 'One type for all, no mixture')}
    </details>
  );
}
