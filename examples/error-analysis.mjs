// The error of four bits per weight with different schemes: node examples/error-analysis.mjs
import {
  analyzeErrorScheme,
  compareBitWidths,
  generateWeightsWithOutliers,
  init,
  rmse,
  theoreticalSqnr,
} from 'quantpress';

await init();
const weights = generateWeightsWithOutliers(64 * 1024, 0.0005, 12, 1);
const schemes = [
  { kind: 'affine', bits: 4, mode: 'symmetric', granularity: { kind: 'perTensor' } },
  { kind: 'affine', bits: 4, mode: 'asymmetric', granularity: { kind: 'perGroup', size: 32 } },
  { kind: 'fourBit', dataType: 'nf4', blockSize: 64, doubleQuant: false },
  { kind: 'block', format: 'Q4_0' },
  { kind: 'block', format: 'Q4_K' },
];
for (const scheme of schemes) {
  const stats = analyzeErrorScheme(weights, [64, 1024], scheme);
  console.log(`${stats.sqnrDb.toFixed(2)} dB, rmse ${rmse(stats).toFixed(5)}`, JSON.stringify(scheme));
}
for (const { bits, stats } of compareBitWidths(weights)) {
  console.log(`${bits} bits: ${stats.sqnrDb.toFixed(2)} dB, theory ${theoreticalSqnr(bits, 'uniform').toFixed(2)} dB`);
}
