import type { Scale } from '../ui/scale.ts';

interface Label {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly anchor: 'start' | 'end';
}

interface Place {
  readonly name: string;
  readonly size: number;
  readonly error: number;
}

const LETTER = 6.7;
const LINE = 14;

/** Names beside the points, as many as fit without one lying on another or on a dot. */
export function placeLabels(
  points: readonly Place[],
  obstacles: readonly Place[],
  x: Scale,
  y: Scale,
  [from, to]: readonly [left: number, right: number],
): Label[] {
  const taken: { left: number; right: number; top: number; bottom: number }[] = [];
  const dots = obstacles.map((point) => ({ x: x(point.size), y: y(point.error) }));
  return points.flatMap(({ name, size, error }) => {
    const [cx, cy, long] = [x(size), y(error), name.length * LETTER];
    // To the right and above first: the line falls to the right, and leaves room there.
    for (const [dx, dy, anchor] of [
      [8, -6, 'start'],
      [-8, 14, 'end'],
      [9, 4, 'start'],
    ] as const) {
      const [left, top] = [cx + dx, cy + dy];
      const box = { left: anchor === 'start' ? left : left - long, right: 0, top: top - LINE + 3, bottom: top + 3 };
      box.right = box.left + long;
      const free =
        box.left > from &&
        box.right < to &&
        box.top > 0 &&
        taken.every((o) => box.right < o.left || box.left > o.right || box.bottom < o.top || box.top > o.bottom) &&
        dots.every((d) => d.x < box.left - 3 || d.x > box.right + 3 || d.y < box.top - 3 || d.y > box.bottom + 3);
      if (!free) continue;
      taken.push(box);
      return [{ text: name, left, top, anchor }];
    }
    return [];
  });
}
