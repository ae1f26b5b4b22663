import type { Scale } from '../ui/scale.ts';

interface Label {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly anchor: 'start' | 'end' | 'middle';
}

interface Place {
  readonly name: string;
  readonly size: number;
  readonly error: number;
}

const LETTER = 6.9;
const LINE = 14;
/** The possible positions of a label: the offset from its dot, and its alignment. */
const SIDES = [
  [8, -6, 'start'],
  [-8, 14, 'end'],
  [9, 4, 'start'],
  [-9, 4, 'end'],
  [0, -10, 'middle'],
  [0, 20, 'middle'],
] as const;
/** A label must be this much nearer to its own dot than to any other to be unambiguous. */
const NEARER = 3;
/** Dots this near to each other count as one. */
const SAME = 2;

/** Places as many labels as fit without overlapping each other or a dot, and without ambiguity. */
export function placeLabels(
  points: readonly Place[],
  obstacles: readonly Place[],
  x: Scale,
  y: Scale,
  [from, to]: readonly [left: number, right: number],
): Label[] {
  const taken: Box[] = [];
  const dots = obstacles.map(({ name, size, error }) => ({ name, x: x(size), y: y(error) }));
  return points.flatMap(({ name, size, error }) => {
    const [cx, cy, long] = [x(size), y(error), name.length * LETTER];
    // For coinciding dots either label is fine.
    const others = dots.filter((dot) => dot.name !== name && Math.hypot(dot.x - cx, dot.y - cy) > SAME);
    for (const [dx, dy, anchor] of SIDES) {
      const [left, top] = [cx + dx, cy + dy];
      const start = anchor === 'start' ? left : anchor === 'end' ? left - long : left - long / 2;
      const box: Box = { left: start, right: start + long, top: top - LINE + 3, bottom: top + 3 };
      const own = distance(box, cx, cy);
      const free =
        box.left > from &&
        box.right < to &&
        box.top > 0 &&
        taken.every((o) => box.right < o.left || box.left > o.right || box.bottom < o.top || box.top > o.bottom) &&
        others.every((dot) => distance(box, dot.x, dot.y) > own + NEARER);
      if (!free) continue;
      taken.push(box);
      return [{ text: name, left, top, anchor }];
    }
    return [];
  });
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The distance from a box to a point; 0 inside. */
function distance({ left, right, top, bottom }: Box, x: number, y: number): number {
  return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}
