/** The tensors of a model by layer and kind, limited to what can be shown at once. */

import type { Names } from '../state/tensors.js';
import { foldedKind, placeOf } from './layers.js';
import type { Damage, Damages } from './tensor-damage.js';

/** A map of tensors: kinds down, layers across. */
export interface Grid {
  /** Each column: a layer, or a range of layers. */
  readonly columns: readonly string[];
  readonly rows: readonly { readonly kind: string; readonly cells: readonly (GridCell | undefined)[] }[];
  /** Tensors outside the layers. */
  readonly others: readonly Damage[];
  /** Tensors that are not in the map because there are too many kinds or too many outside the layers. */
  readonly left: number;
}

/** One tensor, or the worst of several. */
export interface GridCell {
  readonly tensor: Damage;
  readonly count: number;
}

/** With more layers than this, layers share columns. */
const COLUMNS = 128;
/** The maximum number of cells. */
const CELLS = 3072;
const OTHERS = 48;

/** Arranges the tensors that have rows, in the order of the file; pauses after every `piece`. */
export function* gridOf(tensors: Damages, piece: number): Generator<undefined, Grid> {
  const { planned, length } = tensors;
  const places = yield* placesOf(planned.names, piece);
  const others: Damage[] = [];
  const layers = new Set<number>();
  const used = new Set<number>();
  let left = 0;
  for (let index = 0; index < length; index++) {
    if (index % piece === piece - 1) yield;
    if (planned.treatment(index).shape.length < 2) continue;
    const layer = places.layers[index] ?? OUTSIDE;
    if (layer === OUTSIDE) {
      if (others.length < OTHERS) others.push(tensors.at(index));
      else left += 1;
      continue;
    }
    layers.add(layer);
    used.add(places.kindCodes[index] ?? 0);
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
  // The experts of a layer, if each has its own tensors, share one row.
  const kinds = used.size > most ? places.folded : places.kinds;
  const rows = new Map<string, ({ worst: number; count: number } | undefined)[]>();
  for (let index = 0; index < length; index++) {
    if (index % piece === piece - 1) yield;
    const layer = places.layers[index] ?? OUTSIDE;
    if (layer === OUTSIDE || planned.treatment(index).shape.length < 2) continue;
    const name = kinds[places.kindCodes[index] ?? 0] ?? '';
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
    const worse = there === undefined || (tensors.error(index) ?? -1) > (tensors.error(there.worst) ?? -1);
    cells[column] = { worst: worse ? index : there.worst, count: (there?.count ?? 0) + 1 };
  }
  yield;
  const cellOf = (cell: { worst: number; count: number } | undefined): GridCell | undefined =>
    cell && { tensor: tensors.at(cell.worst), count: cell.count };
  return { columns, rows: [...rows].map(([kind, cells]) => ({ kind, cells: cells.map(cellOf) })), others, left };
}

/** The layer number of a tensor outside the layers. */
const OUTSIDE = -1;

/** The positions of a list of names. */
interface Places {
  readonly layers: Int32Array;
  /** For each name its index in `kinds`. */
  readonly kindCodes: Uint32Array;
  readonly kinds: readonly string[];
  /** The kinds according to {@link foldedKind}. */
  readonly folded: readonly string[];
}

/** Recipes change, names do not. */
const known = new WeakMap<Names, Places>();

function* placesOf(names: Names, piece: number): Generator<undefined, Places> {
  const found = known.get(names);
  if (found) return found;
  const layers = new Int32Array(names.length);
  const kindCodes = new Uint32Array(names.length);
  const codeOf = new Map<string, number>();
  for (let index = 0; index < names.length; index++) {
    if (index % piece === piece - 1) yield;
    const { layer = OUTSIDE, kind } = placeOf(names.at(index));
    layers[index] = Math.min(layer, 2 ** 31 - 1);
    if (layer === OUTSIDE) continue;
    const code = codeOf.get(kind) ?? codeOf.size;
    codeOf.set(kind, code);
    kindCodes[index] = code;
  }
  const kinds = [...codeOf.keys()];
  const folded: string[] = [];
  for (const [index, kind] of kinds.entries()) {
    if (index % piece === piece - 1) yield;
    folded.push(foldedKind(kind));
  }
  const places = { layers, kindCodes, kinds, folded };
  known.set(names, places);
  return places;
}
