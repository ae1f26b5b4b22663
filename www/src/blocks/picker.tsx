import { FAMILIES } from './families.ts';
import { Formula } from './formula.tsx';
import { chooseFormat, facts, format, table } from './state.ts';
import { ROLE, figure } from './text.ts';
import type { Role } from './layouts.ts';

/** The choice of the format: all at once if there is room, otherwise a list. */
export function Picker() {
  return (
    <>
      <fieldset class="formats">
        <legend class="visually-hidden">Format</legend>
        {FAMILIES.map(({ label, names }) => (
          <div key={label} class="family">
            <span class="soft" aria-hidden="true">
              {label}
            </span>
            {names.map((name) => (
              <label key={name} class="chip">
                <input
                  type="radio"
                  name="format"
                  value={name}
                  checked={format.value === name}
                  onChange={() => chooseFormat(name)}
                />
                {name}
              </label>
            ))}
          </div>
        ))}
      </fieldset>
      <label class="format-list">
        <span class="soft">Format</span>
        <select
          value={format.value}
          onChange={(event) => chooseFormat(event.currentTarget.value as typeof format.value)}
        >
          {FAMILIES.map(({ label, names }) => (
            <optgroup key={label} label={label}>
              {names.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>
    </>
  );
}

/** Bits of each role in each field, in the order of the block. */
function shares(): { readonly field: string; readonly role: Role; readonly bits: number }[] {
  const { fields, quantities } = table.value;
  const found = new Map<string, { field: string; role: Role; bits: number }>();
  for (const { at, width, role } of quantities.flatMap(({ pieces }) => pieces).sort((a, b) => a.at - b.at)) {
    const field = fields.find(({ offset, bytes }) => at >= 8 * offset && at < 8 * (offset + bytes))?.name ?? '';
    const share = found.get(field + role) ?? { field, role, bits: 0 };
    share.bits += width;
    found.set(field + role, share);
  }
  const order = new Map(fields.map(({ name, offset }) => [name, offset]));
  return [...found.values()].sort((a, b) => (order.get(a.field) ?? 0) - (order.get(b.field) ?? 0));
}

/** The formula, and the use of the bits of a weight. */
export function Anatomy() {
  const { weights, bytes, name, roles, fields } = table.value;
  const called = (role: Role): string => roles?.[role] ?? ROLE[role];
  const all = shares();
  const alone = (field: string): boolean => all.filter((share) => share.field === field).length === 1;
  const many = weights === 1 ? 'One weight' : `${weights} weights`;
  return (
    <div class="anatomy">
      <p class="formula">
        <var>w</var> = <Formula />
      </p>
      <p class="soft">
        {many} in {bytes} {bytes === 1 ? 'byte' : 'bytes'}:{' '}
        <strong class="ink">{figure((8 * bytes) / weights, 6)} bits per weight</strong>
        {facts.value && !facts.value.canEncode && '. Quantpress reads this format and does not write it.'}
        {facts.value?.needsImportance &&
          '. Here all weights are equally important; for a model it needs an importance matrix.'}
      </p>
      <div class="budget" role="img" aria-label={`Bits per weight of ${name}; the table of fields below says the same`}>
        {all.map(({ field, role, bits }) => (
          <i key={field + role} class="tint" data-role={role} style={{ flexGrow: bits, flexBasis: 0 }}>
            <span class={alone(field) ? undefined : 'long'}>{alone(field) ? field : called(role)}</span>
          </i>
        ))}
      </div>
      <ul class="budget-legend">
        {all.map(({ field, role, bits }) => (
          <li key={field + role}>
            <i class="tint swatch" data-role={role} />
            {fields.length > 1 && <span class="mono">{field} </span>}
            {called(role)} <span class="number soft">{figure(bits / weights, 4)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The fields of the block, in order. */
export function Fields() {
  const { fields, weights, bytes } = table.value;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard
    <section class="scroll" tabIndex={0} aria-label="Fields of the block">
      <table>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Bytes</th>
            <th scope="col">Type</th>
            <th scope="col" class="right">
              Bits per weight
            </th>
            <th scope="col">What it is</th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <tr key={field.name}>
              <th scope="row" class="mono">
                {field.name}
              </th>
              <td class="number">
                {field.offset}
                {field.bytes > 1 && `–${field.offset + field.bytes - 1}`}
              </td>
              <td>{field.type}</td>
              <td class="right number">{figure((8 * field.bytes) / weights)}</td>
              <td class="why">{field.meaning}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">Total</th>
            <td class="number">{bytes}</td>
            <td />
            <td class="right number">{figure((8 * bytes) / weights)}</td>
            <td />
          </tr>
        </tbody>
      </table>
    </section>
  );
}
