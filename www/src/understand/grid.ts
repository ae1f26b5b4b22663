/** The tensors of a model by layer and kind, few enough to be shown at once whatever the model. */

import { foldedKind, placeOf, type Place } from './layers.ts';
import type { Damage } from './tensor-damage.ts';

/** A map of tensors: kinds down, layers across. */
export interface Grid {
  /** What each column is: a layer, or a run of them. */
  readonly columns: readonly string[];
  readonly rows: readonly { readonly kind: string; readonly cells: readonly (GridCell | undefined)[] }[];
  /** Tensors outside the layers. */
  readonly others: readonly Damage[];
  /** Tensors that have no place in the map because there are too many kinds or too many outside the layers. */
  readonly left: number;
}

/** One tensor, or the worst of several. */
export interface GridCell {
  readonly tensor: Damage;
  readonly count: number;
}

/** More layers than this share columns. */
const COLUMNS = 128;
/** So many cells at most, as long as there are rows to be had. */
const CELLS = 3072;
const OTHERS = 48;

/** Arranges the tensors that have rows, in the order of the file; pauses after every `piece`. */
export function* gridOf(tensors: readonly Damage[], piece: number): Generator<undefined, Grid> {
  const placed: { readonly tensor: Damage; readonly layer: number; readonly kind: string }[] = [];
  const others: Damage[] = [];
  const layers = new Set<number>();
  const kinds = new Set<string>();
  let left = 0;
  for (const [index, tensor] of tensors.entries()) {
    if (index % piece === piece - 1) yield;
    if (tensor.planned.shape.length < 2) continue;
    const { layer, kind } = known(tensor.name);
    if (layer === undefined) {
      if (others.length < OTHERS) others.push(tensor);
      else left += 1;
      continue;
    }
    placed.push({ tensor, layer, kind });
    layers.add(layer);
    kinds.add(kind);
  }
  const sorted = [...layers].sort((a, b) => a - b);
  yield;
  const share = Math.ceil(sorted.length / COLUMNS);
  const columnOf = new Map(sorted.map((layer, index) => [layer, Math.floor(index / share)]));
  const columns = Array.from({ length: Math.ceil(sorted.length / share) || 0 }, (_, column) => {
    const run = sorted.slice(column * share, (column + 1) * share);
    return run.length > 1 ? `${run[0]}–${run.at(-1)}` : String(run[0]);
  });
  const most = Math.max(16, Math.floor(CELLS / Math.max(1, columns.length)));
  // Experts of a layer, each with tensors of its own: one row for all of them.
  const fold = kinds.size > most ? foldedKind : (kind: string) => kind;
  const rows = new Map<string, (GridCell | undefined)[]>();
  for (const [index, { tensor, layer, kind }] of placed.entries()) {
    if (index % piece === piece - 1) yield;
    const name = fold(kind);
    let cells = rows.get(name);
    if (!cells && rows.size < most) {
      cells = Array.from({ length: columns.length }, () => undefined);
      rows.set(name, cells);
    }
    if (!cells) {
      left += 1;
      continue;
    }
    const column = columnOf.get(layer) ?? 0;
    const there = cells[column];
    const worse = there === undefined || (tensor.error ?? -1) > (there.tensor.error ?? -1);
    cells[column] = { tensor: worse ? tensor : there.tensor, count: (there?.count ?? 0) + 1 };
  }
  return { columns, rows: [...rows].map(([kind, cells]) => ({ kind, cells })), others, left };
}

/** Places of names that were looked at before: recipes change, names do not. */
let places = new Map<string, Place>();
const MOST_PLACES = 1_000_000;

function known(name: string): Place {
  let place = places.get(name);
  if (place) return place;
  if (places.size > MOST_PLACES) places = new Map();
  place = placeOf(name);
  places.set(name, place);
  return place;
}
