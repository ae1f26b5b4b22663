// The best schemes by quality, and the accuracy of a quantized digit classifier: node examples/benchmark.mjs
import { init, runAccuracyBenchmark, runFullBenchmarkSuite } from 'quantpress';

await init();
for (const result of runFullBenchmarkSuite(16_384, 1).sortedByQuality().slice(0, 10)) {
  const { name, bitsPerWeight, sqnrDb, encodeMs } = result;
  console.log(name.padEnd(48), `${bitsPerWeight.toFixed(3)} bits, ${sqnrDb.toFixed(2)} dB, ${encodeMs.toFixed(2)} ms`);
}
const report = await runAccuracyBenchmark();
const percent = (share) => `${(100 * share).toFixed(2)}%`;
console.log(`digits: ${percent(report.originalAccuracy)} correct in floating point`);
for (const { bits, accuracy } of report.qat) {
  const ptq = Math.max(...report.ptq.filter((row) => row.bits === bits).map((row) => row.accuracy));
  console.log(`${bits} bits: best PTQ ${percent(ptq)}, QAT ${percent(accuracy)}`);
}
