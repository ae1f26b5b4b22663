// The error and size of scales per tensor, per channel and per group: node examples/granularity.mjs
import { compareGranularities, generateMultiChannelWeights, init, quantizeTensor } from 'quantpress';

await init();
const shape = [64, 512];
const weights = generateMultiChannelWeights(64, 512, 20, 1);
const granularities = [{ kind: 'perTensor' }, { kind: 'perChannel', axis: 0 }, { kind: 'perGroup', size: 128 }];

for (const bits of [8, 6, 4, 3, 2]) {
  for (const { granularity, mse, memoryBytes } of compareGranularities(
    weights,
    shape,
    bits,
    'symmetric',
    granularities,
  )) {
    console.log(bits, 'bits', granularity.kind.padEnd(11), mse.toExponential(3), memoryBytes, 'bytes');
  }
}

// A tensor serialized with everything needed to read it again.
const [, , granularity] = granularities;
const tensor = quantizeTensor(weights, shape, { bits: 4, mode: 'asymmetric', granularity });
console.log('4 bits in groups of 128, asymmetric:', tensor.toBytes().length, 'bytes with their header');
