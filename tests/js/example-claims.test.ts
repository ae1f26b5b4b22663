import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** The columns of numbers that an example prints, by the first word of the line. */
function run(name: string): Map<string, number[]> {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`examples/${name}.mjs`], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const lines = stdout.trim().split('\n');
  const numbers = (line: string) =>
    [...line.matchAll(/\d[^\s%]*/g)].map(([text]) => Number(text)).filter(Number.isFinite);
  return new Map(lines.map((line) => [line.split('  ')[0]?.trim() ?? '', numbers(line)]));
}

const last = (numbers: number[] | undefined): number => numbers?.at(-1) ?? Number.NaN;

test('the QLoRA example finds NF4 best', () => {
  const printed = run('qlora');
  const [nf4, fp4, int4] = ['nf4', 'fp4', 'int4'].map((name) => {
    const line = [...printed].find(([start]) => start.startsWith(name));
    return last(line?.[1]);
  }) as [number, number, number];
  expect(nf4).toBeLessThan(int4);
  expect(nf4).toBeLessThan(fp4);
  expect([...printed.keys()].at(-1)).toContain('the same: true');
});

test('the granularity example trades bytes for error', () => {
  const rows = [...run('granularity').values()].slice(0, 15);
  for (let at = 0; at < 15; at += 3) {
    const bytes = rows.slice(at, at + 3).map((row) => row.at(-1) ?? 0);
    const errors = rows.slice(at, at + 3).map((row) => row.at(-2) ?? 0);
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
    expect(errors).toEqual([...errors].sort((a, b) => b - a));
  }
});

test('the QAT example beats rounding after training', { timeout: 120_000 }, () => {
  const printed = run('qat');
  const [floats, after, during] = ['in floating point', 'after training', 'during training'].map((name) =>
    last(printed.get(name)),
  );
  expect(during).toBeGreaterThan(after ?? 100);
  expect(floats).toBeGreaterThan(85);
});
