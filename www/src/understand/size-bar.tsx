import { GROUPS } from '../groups.ts';
import { total } from '../state/analysis.ts';
import { opened } from '../state/model.ts';
import { partsBefore } from '../state/parts.ts';
import { Twin } from '../ui/twin.tsx';
import { bytes, percent } from '../text.ts';

const NONE: ReadonlyMap<string, number> = new Map();

/** The sizes before and after as two bars on one scale, divided by part of the model. */
export function SizeBar() {
  const model = opened.value?.model;
  const size = model?.source.size ?? 1;
  const before = partsBefore.value ?? NONE;
  const now = total.value;
  const after = now?.parts ?? NONE;
  const present = GROUPS.filter(({ id }) => before.get(id));
  const bar = (of: ReadonlyMap<string, number>, whole: number) => (
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
        <span class="lane">{now && bar(after, now.size)}</span>
      </div>
      <ul class="legend" key={now?.size}>
        {now &&
          present.map(({ id, label }) => (
            <li key={id}>
              <i style={{ background: `var(--${id})` }} />
              {label} <span class="number soft">{percent((after.get(id) ?? 0) / (now?.size ?? 1))}</span>
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
        items={present}
        cells={({ id, label }) => [
          label,
          bytes(before.get(id) ?? 0),
          bytes(after.get(id) ?? 0),
          percent((after.get(id) ?? 0) / (before.get(id) ?? 1)),
          percent((after.get(id) ?? 0) / (now?.size ?? 1)),
        ]}
      />
    </section>
  );
}
