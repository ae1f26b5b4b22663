import { GROUPS, groupOf } from '../groups.ts';
import { opened, plan } from '../state.ts';
import { bytes, percent } from '../text.ts';

/** Before and after as two bars on one scale, each divided by the part of the model its bytes belong to. */
export function Press() {
  const model = opened.value?.model;
  if (!model) return null;
  const before = sums(model.tensors);
  const after =
    plan.value && sums(plan.value.tensors.map((tensor) => ({ name: tensor.name, bytes: tensor.targetBytes })));
  const present = GROUPS.filter((group) => before.get(group.id));
  const bar = (of: Map<string, number>, size: number) => (
    <span class="bar" style={{ width: `${(size / model.source.size) * 100}%` }}>
      {present.map((group) => (
        <i key={group.id} style={{ flex: of.get(group.id) ?? 0, background: `var(--${group.id})` }} />
      ))}
    </span>
  );
  return (
    <section aria-label="Size by part of the model">
      <div class="press" aria-hidden="true">
        <span class="soft">before</span>
        {bar(before, model.source.size)}
        {after && plan.value && (
          <>
            <span class="soft">after</span>
            {bar(after, plan.value.size)}
          </>
        )}
      </div>
      <ul class="legend">
        {present.map((group) => (
          <li key={group.id}>
            <i style={{ background: `var(--${group.id})` }} />
            {group.label}{' '}
            <span class="number soft">
              {bytes(before.get(group.id) ?? 0)}
              {after && ` → ${bytes(after.get(group.id) ?? 0)}`}
              {after && (
                <span class="share"> ({percent((after.get(group.id) ?? 0) / (before.get(group.id) ?? 1))})</span>
              )}
            </span>
          </li>
        ))}
      </ul>
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
