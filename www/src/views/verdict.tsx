import { chosen, opened, plan } from '../state.ts';
import { bytes, count, digits, percent } from '../text.ts';

/** One plain line: what there is, and what the chosen preset makes of it. */
export function Verdict() {
  const model = opened.value?.model;
  if (!model) return null;
  const weights = model.tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((a, b) => a * b, 1), 0);
  const after = plan.value;
  return (
    <p class="verdict" aria-live="polite">
      {count(weights)} weights in {bytes(model.source.size)}.{' '}
      {after && (
        <>
          {chosen.value} makes that <em>{bytes(after.size)}</em>, {percent(after.size / model.source.size)} of it, at{' '}
          {digits((after.size * 8) / weights, 3)} bits a weight.
        </>
      )}
    </p>
  );
}
