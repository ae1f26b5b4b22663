/**
 * Finds the known names nearest to an unknown one, for "did you mean". Used by the command line and by checks of option
 * names.
 */

/** The number of letters per edit: a candidate with more edits is not suggested. */
const LETTERS_PER_EDIT = 3;

/**
 * Returns the known names that `name` most probably stands for, nearest first, at most `most`.
 *
 * Names are compared without case and separators, so `Q4KM` is `Q4_K_M` and `row-length` is `rowLength`: if a name is equal
 * in this form, only such names are returned. Otherwise distance is the number of letters to insert, delete, change or swap
 * with their neighbour (optimal string alignment); a name that begins with what was typed is at most one edit away.
 */
export function nearest(name: string, known: readonly string[], { most = 3 }: { most?: number } = {}): string[] {
  const typed = folded(name);
  // No known name is that long, and comparing takes the product of the lengths.
  if (typed === '' || name.length > 100) return [];
  const scored = known.flatMap((candidate) => {
    const plain = folded(candidate);
    const edits = distance(typed, plain);
    const allowed = Math.max(1, Math.floor(Math.max(typed.length, plain.length) / LETTERS_PER_EDIT));
    const begins = typed.length > 1 && plain.startsWith(typed);
    if (edits > allowed && !begins) return [];
    // Of two names at the same distance, the one with the more similar separators comes first.
    return [{ candidate, edits: begins ? Math.min(edits, 1) : edits, raw: distance(upper(name), upper(candidate)) }];
  });
  scored.sort((a, b) => a.edits - b.edits || a.raw - b.raw);
  const equal = scored.filter(({ edits }) => edits === 0);
  return (equal.length > 0 ? equal : scored).slice(0, most).map(({ candidate }) => candidate);
}

function upper(name: string): string {
  return name.trim().toUpperCase();
}

function folded(name: string): string {
  return upper(name).replace(/[-_.\s]/g, '');
}

/** The number of letters to insert, delete, change or swap with the next to turn one word into the other. */
function distance(a: string, b: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}
