// Calibrates the range of activations from batches with several methods: node examples/calibration.mjs
import { Calibrator, generateWeightsWithOutliers, init } from 'quantpress';

await init();
const calibrators = {
  'min-max': Calibrator.minMax(8, 'symmetric'),
  'moving average': Calibrator.movingAverage(8, 'symmetric', 0.1),
  'percentile 0.1..99.9': Calibrator.percentile(8, 'symmetric', 0.1, 99.9),
  'entropy, TensorRT': Calibrator.entropy(8, 'symmetric', 'tensorrt'),
  'entropy, ONNX Runtime': Calibrator.entropy(8, 'symmetric', 'onnxruntime'),
  MSE: Calibrator.mse(8, 'symmetric'),
};
for (const [name, calibrator] of Object.entries(calibrators)) {
  for (let batch = 0; batch < 10; batch++) calibrator.observe(generateWeightsWithOutliers(4096, 0.001, 20, batch));
  const { observedMin, observedMax, scale } = calibrator.compute();
  console.log(name.padEnd(22), observedMin.toFixed(4), observedMax.toFixed(4), scale.toFixed(6));
  calibrator.free();
}
