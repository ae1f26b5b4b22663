/** Formats numbers. One module, so that the page always shows a size in the same way. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** 2289760 -> "2.29 MB": decimal units, three digits. */
export function bytes(count: number): string {
  let unit = 0;
  while (count >= 999.5 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${digits(count, unit === 0 ? 0 : 3)} ${UNITS[unit]}`;
}

/** The labels of an axis in one unit, with enough decimals to distinguish them: 2.29 and 2.295 MB. */
export function byteTicks(values: readonly number[]): string[] {
  const most = Math.max(0, ...values);
  const unit = Math.max(0, Math.min(Math.floor(Math.log10(Math.max(1, most)) / 3 + 1e-9), UNITS.length - 1));
  const scaled = values.map((value) => value / 1000 ** unit);
  const decimals = [0, 1, 2, 3, 4, 5, 6].find((n) =>
    scaled.every((value) => Math.abs(Number(value.toFixed(n)) - value) <= 1e-9 * Math.abs(value)),
  );
  return scaled.map((value) => `${value.toFixed(decimals ?? 6)} ${UNITS[unit]}`);
}

/** 3670272 -> "3.67 million". */
export function count(value: number): string {
  if (value >= 1e9) return `${digits(value / 1e9, 3)} billion`;
  if (value >= 1e6) return `${digits(value / 1e6, 3)} million`;
  return value.toLocaleString('en');
}

/** A value with a number of significant digits and no exponent. */
export function digits(value: number, significant: number): string {
  if (significant === 0) return String(Math.round(value));
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(value, 1))) + 1);
  return value.toFixed(Math.max(0, significant - whole));
}

/** 0.3104 -> "31%". */
export function percent(share: number): string {
  return `${digits(share * 100, share < 0.9995 ? 2 : 3)}%`;
}

/** A weight error, 0.0589 -> "5.89%": with three digits, as on the command line. */
export function errorText(error: number): string {
  return `${(100 * error).toPrecision(3)}%`;
}

/** A weight error as signal to noise: 0.0733 -> 22.7 dB. */
export function toDecibels(error: number): number {
  return -20 * Math.log10(error);
}

/** 83 -> "1 min 23 s". */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '';
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** [256, 1024] -> "256 × 1024". */
export function shape(dimensions: readonly number[]): string {
  return dimensions.join(' × ');
}
