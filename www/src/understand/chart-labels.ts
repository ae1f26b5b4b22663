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
/** Where a name may be: how far from its dot, and which end of it is there. */
const SIDES = [
  [8, -6, 'start'],
  [-8, 14, 'end'],
  [9, 4, 'start'],
  [-9, 4, 'end'],
  [0, -10, 'middle'],
  [0, 20, 'middle'],
] as const;
/** A name has to be this much nearer to its own dot than to any other, or it is read as the name of that one. */
const NEARER = 3;
/** Dots this near to each other are in one place. */
const SAME = 2;

/** Names beside the points, as many as fit without one lying on another or on a dot, or being read as another dot's. */
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
    // Of dots in one place either name will do.
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

/** From a box to a point beside it; 0 inside. */
function distance({ left, right, top, bottom }: Box, x: number, y: number): number {
  return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}
