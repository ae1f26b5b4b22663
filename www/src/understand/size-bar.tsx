import { GROUPS, groupOf } from '../groups.ts';
import { opened } from '../state/model.ts';
import { plan } from '../state/recipe.ts';
import { Twin } from '../ui/twin.tsx';
import { bytes, percent } from '../text.ts';

/** Before and after as two bars on one scale, each divided by the part of the model its bytes belong to. */
export function SizeBar() {
  const model = opened.value?.model;
  const size = model?.source.size ?? 1;
  const before = sums(model?.tensors ?? []);
  const after = sums((plan.value?.tensors ?? []).map(({ name, targetBytes }) => ({ name, bytes: targetBytes })));
  const present = GROUPS.filter(({ id }) => before.get(id));
  const bar = (of: Map<string, number>, whole: number) => (
    <span class="bar" style={{ width: `${(whole / size) * 100}%` }}>
      {present.map(({ id }) => (
        <i key={id} style={{ flex: of.get(id) ?? 0, background: `var(--${id})` }} />
      ))}
    </span>
  );
  return (
    <section class="sizes" aria-label="Size by part of the model">
      <div class="press" aria-hidden="true">
        <span class="soft">before</span>
        <span class="lane">{model && bar(before, size)}</span>
        <span class="soft">after</span>
        <span class="lane">{plan.value && bar(after, plan.value.size)}</span>
      </div>
      <ul class="legend" key={plan.value?.size}>
        {plan.value &&
          present.map(({ id, label }) => (
            <li key={id}>
              <i style={{ background: `var(--${id})` }} />
              {label} <span class="number soft">{percent((after.get(id) ?? 0) / (plan.value?.size ?? 1))}</span>
            </li>
          ))}
      </ul>
      <Twin
        caption="Size by part of the model"
        columns={[
          ['Part'],
          ['Before', 'number'],
          ['After', 'number'],
          ['Of before', 'number'],
          ['Of the file', 'number'],
        ]}
        rows={present.map(({ id, label }) => [
          label,
          bytes(before.get(id) ?? 0),
          bytes(after.get(id) ?? 0),
          percent((after.get(id) ?? 0) / (before.get(id) ?? 1)),
          percent((after.get(id) ?? 0) / (plan.value?.size ?? 1)),
        ])}
      />
    </section>
  );
}

function sums(tensors: readonly { readonly name: string; readonly bytes: number }[]): Map<string, number> {
  const total = new Map<string, number>();
  for (const { name, bytes } of tensors) {
    const { id } = groupOf(name);
    total.set(id, (total.get(id) ?? 0) + bytes);
  }
  return total;
}
