import {
  after,
  before,
  bits,
  bytes,
  chosen,
  levels,
  look,
  reaching,
  setByte,
  setWeight,
  table,
  writable,
} from './state.ts';
import { Formula } from './formula.tsx';
import type { Quantity } from './layouts.ts';
import { value, valuesOf } from './numbers.ts';
import { bitName, figure, hex, inFormula, named, reached } from './text.ts';

/** Inspector, explained. */
export function Inspector() {
  const now = look.value;
  return (
    <section class="inspector" aria-label="Inspector">
      {'weight' in now ? <OfWeight index={now.weight} /> : <OfByte index={now.byte} />}
    </section>
  );
}

function OfWeight({ index }: { index: number }) {
  const [x, y] = [before.value?.[index], after.value[index] ?? 0];
  const quantities = reaching.value[index] ?? [];
  const values = valuesOf(table.value, bytes.value, index, quantities, levels.value?.[index]);
  return (
    <>
      <h3>Weight {index}</h3>
      <p class="formula small-formula">
        <Formula values={(symbol) => inFormula(symbol, values)} />
        <span class="result"> = {figure(y, 6)}</span>
      </p>
      {x !== undefined && (
        <dl class="facts">
          <dt>before</dt>
          <dd>
            {writable.value && 'weight' in chosen.value && chosen.value.weight === index ? (
              <input
                type="number"
                step="any"
                class="mono"
                aria-label={`Weight ${index}`}
                value={Number(x.toPrecision(6))}
                onChange={(event) => {
                  const typed = event.currentTarget.valueAsNumber;
                  if (Number.isFinite(typed)) setWeight(index, typed);
                }}
              />
            ) : (
              <span class="number">{figure(x, 6)}</span>
            )}
          </dd>
          <dt>after</dt>
          <dd class="number">{figure(y, 6)}</dd>
          <dt>error</dt>
          <dd class="number">{figure(y - x, 4)}</dd>
        </dl>
      )}
      <Quantities list={quantities} />
    </>
  );
}

function OfByte({ index }: { index: number }) {
  const byte = bytes.value[index] ?? 0;
  const own = Array.from({ length: 8 }, (_, bit) => bits.value[8 * index + bit]);
  const list = [...new Set(own.flatMap((bit) => (bit ? [bit.quantity] : [])))];
  const field = table.value.fields.find(({ offset, bytes }) => index >= offset && index < offset + bytes);
  const weights = [...new Set(own.flatMap((bit) => bit?.weights ?? []))].sort((a, b) => a - b);
  return (
    <>
      <h3>
        Byte {index} <span class="soft">of</span> <span class="mono">{field?.name}</span>{' '}
        <span class="mono soft">0x{hex(byte)}</span>
      </h3>
      <fieldset class="bits">
        <legend class="visually-hidden">Bits of byte {index}, the highest first</legend>
        {own
          .map((bit, place) =>
            bit ? (
              <label key={place} data-role={bit.piece.role} class="bit tint" title={bitName(bit)}>
                <input
                  type="checkbox"
                  checked={((byte >> place) & 1) === 1}
                  aria-label={`Bit ${place}: ${bitName(bit)}`}
                  onChange={() => setByte(index, byte ^ (1 << place))}
                />
                <span aria-hidden="true">{(byte >> place) & 1}</span>
                <small aria-hidden="true">{named(bit.quantity)}</small>
              </label>
            ) : null,
          )
          .toReversed()}
      </fieldset>
      <p class="soft small">
        {field?.meaning}. Changes {reached(weights, table.value.weights)}.
      </p>
      <Quantities list={list} />
    </>
  );
}

const KINDS: Readonly<Record<Quantity['kind'], string>> = {
  unsigned: '',
  signed: 'signed',
  F16: 'F16',
  F32: 'F32',
  E8M0: 'E8M0',
  UE4M3: 'UE4M3',
  E2M1: 'E2M1',
};

/** The numbers, the positions of their bits, and the weights they affect. */
function Quantities({ list }: { list: readonly Quantity[] }) {
  return (
    <table class="quantities">
      <thead>
        <tr>
          <th scope="col">Number</th>
          <th scope="col" class="right">
            Value
          </th>
          <th scope="col">Bits</th>
          <th scope="col">Affects</th>
        </tr>
      </thead>
      <tbody>
        {list.map((quantity) => (
          <tr key={named(quantity)}>
            <th scope="row">
              <i class="tint swatch" data-role={quantity.pieces[0]?.role} />
              {named(quantity)}
            </th>
            <td class="right number">{figure(value(bytes.value, quantity))}</td>
            <td>
              {quantity.pieces.map(({ at, width }, i) => (
                <span key={at}>
                  {i > 0 && ', '}
                  <button type="button" class="link number" onClick={() => (chosen.value = { byte: at >> 3 })}>
                    {place(at, width)}
                  </button>
                </span>
              ))}{' '}
              <span class="soft">{KINDS[quantity.kind]}</span>
            </td>
            <td class="soft">{reached(quantity.weights, table.value.weights)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** `byte 3`, `bytes 0–1`, `byte 5, bits 4–7`. */
function place(at: number, width: number): string {
  const [byte, bit] = [at >> 3, at & 7];
  const last = (at + width - 1) >> 3;
  if (bit === 0 && width % 8 === 0) return width === 8 ? `byte ${byte}` : `bytes ${byte}–${last}`;
  if (last > byte) return `bytes ${byte}–${last}, ${width} bits from ${bit}`;
  return width === 1 ? `byte ${byte}, bit ${bit}` : `byte ${byte}, bits ${bit}–${bit + width - 1}`;
}
