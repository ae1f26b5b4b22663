/** The playground's stepwise benchmarks compared with the package's functions that do everything at once. */

import { formats, init, type QuantBenchmarkResult, runAccuracyBenchmark, runFullBenchmarkSuite } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { csv } from '../../www/src/benchmarks/export.js';
import { COPY, type Kind, methodName, type Orders, QAT, type Rows, STEPS } from '../../www/src/benchmarks/steps.js';

beforeAll(() => init());

async function run<K extends Kind>(kind: K, order: Orders[K]): Promise<Rows[K][]> {
  const rows: Rows[K][] = [];
  let before = 0;
  let all = 0;
  for await (const { done, total, rows: made } of STEPS[kind](order)) {
    expect(done).toBe(before + 1);
    [before, all] = [done, total];
    rows.push(...made);
  }
  expect(before).toBe(all);
  return rows;
}

test('the suite in steps gives the same results as the suite', async () => {
  const untimed = ({ encodeMs: _, decodeMs: __, ...result }: QuantBenchmarkResult) => result;
  const stepped = await run('suite', { size: 16_384, seed: 5 });
  const plain = stepped.map(({ data, label, ...result }) => {
    expect(result.name).toBe(`${data}: ${label}`);
    return untimed(result as QuantBenchmarkResult);
  });
  expect(plain).toEqual(runFullBenchmarkSuite(16_384, 5).results.map(untimed));
});

test('accuracy in steps gives the same report', async () => {
  const rows = await run('accuracy', { seed: 1 });
  const report = await runAccuracyBenchmark({ seed: 1 });
  const of = (method: string) => rows.filter((row) => row.method === method).map(({ accuracy }) => accuracy);
  expect(of('original')).toEqual([report.originalAccuracy]);
  expect(of(QAT)).toEqual(report.qat.map(({ accuracy }) => accuracy));
  const methods = [...new Set(report.ptq.map(({ method }) => methodName(method)))];
  for (const method of methods) {
    const expected = report.ptq.filter((row) => methodName(row.method) === method).map(({ accuracy }) => accuracy);
    expect(of(method), method).toEqual(expected);
  }
  expect(rows.length).toBe(1 + report.qat.length + report.ptq.length);
});

test('speeds cover every writable block format and float type, and a copy', async () => {
  const rows = await run('speed', { weights: 4096 });
  const wanted = formats().filter(({ weights, canEncode }) => weights > 1 || canEncode);
  expect(rows.map(({ format }) => format)).toEqual([COPY, ...wanted.map(({ name }) => name)]);
  for (const { name, canEncode } of wanted) {
    const row = rows.find(({ format }) => format === name);
    expect(row?.encode !== undefined, name).toBe(canEncode);
    expect(row?.decode, name).toBeGreaterThan(0);
  }
});

test('CSV quotes special characters and has the columns of all rows', () => {
  expect(
    csv([
      { a: 1, b: 'x, "y"' },
      { a: undefined, c: { kind: 'block' } },
    ]),
  ).toBe('a,b,c\r\n1,"x, ""y""",\r\n,,"{""kind"":""block""}"\r\n');
});
