// Quantizes a weight to 4 bits as in QLoRA, and exchanges it with bitsandbytes: node examples/qlora.mjs
import {
  dequantize4bit,
  dequantize4bitDouble,
  fromStateDict,
  generateGaussianWeights,
  init,
  quantizationMse,
  quantize4bit,
  quantize4bitDouble,
} from 'quantpress';

await init();
const shape = [512, 512];
const weights = generateGaussianWeights(512 * 512, 0, 0.02, 1);
const row = (name, bytes, mse) => console.log(name.padEnd(6), String(bytes).padStart(9), mse.toExponential(3));

for (const dataType of ['nf4', 'fp4', 'int4']) {
  const tensor = quantize4bit(weights, { dataType });
  row(dataType, tensor.memoryBytes, quantizationMse(weights, dequantize4bit(tensor)));
}

// Double quantization: the scales are quantized to 8 bits.
const double = quantize4bitDouble(weights);
row('double', double.memoryBytes, quantizationMse(weights, dequantize4bitDouble(double)));
console.log(`double quantization saves ${double.doubleQuantSavings} bytes`);

// The tensors that bitsandbytes stores in a safetensors file for this weight.
const tensors = double.toStateDict('layer.weight', shape, 'bfloat16');
for (const { name, dtype, shape } of tensors) console.log(name.padEnd(46), dtype.padEnd(4), shape.join(' x '));
const { tensor } = fromStateDict(tensors, 'layer.weight');
console.log(
  'read back:',
  tensor.length,
  'weights, the same:',
  tensor.codes.every((code, at) => code === double.codes[at]),
);
