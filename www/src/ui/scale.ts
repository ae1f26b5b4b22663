/** Scales of charts. */

/** From values to pixels and back. */
export interface Scale {
  (value: number): number;
  invert(pixel: number): number;
}

type Range = readonly [from: number, to: number];

/** A linear scale. */
export function linear([a, b]: Range, [from, to]: Range): Scale {
  const rate = (to - from) / (b - a || 1);
  return Object.assign((value: number) => from + (value - a) * rate, {
    invert: (pixel: number) => a + (pixel - from) / rate,
  });
}

/** A logarithmic scale. */
export function logarithmic([a, b]: Range, range: Range): Scale {
  const scale = linear([Math.log(a), Math.log(b)], range);
  return Object.assign((value: number) => scale(Math.log(value)), {
    invert: (pixel: number) => Math.exp(scale.invert(pixel)),
  });
}

/** About `count` round values between two. */
export function ticks([a, b]: Range, count: number): number[] {
  const raw = (b - a) / Math.max(1, count);
  if (!(raw > 0)) return [a];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw) ?? raw;
  const first = Math.ceil(a / step);
  return Array.from({ length: Math.floor(b / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** 1, 2, 5, 10 ... between two. */
export function logTicks([a, b]: Range): number[] {
  const found: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(a)); power <= b; power *= 10) {
    for (const n of [1, 2, 5]) if (n * power >= a && n * power <= b) found.push(n * power);
  }
  return found;
}
