/**
 * Quantizes a file by llama.cpp's own `llama_model_quantize`, in a separate process: the library aborts the process in
 * unexpected cases. Started by `fork`, it is sent one {@link Job} and ends with 0 or 1.
 */

import koffi from 'koffi';
import { llama } from './llama.js';

/**
 * @typedef {object} Job
 * @property {string} input
 * @property {string} output
 * @property {number} ftype the number of the preset
 * @property {boolean} [allowRequantize]
 * @property {boolean} [keepSplit] `output` is then what the names begin with
 * @property {boolean} [onlyCopy]
 * @property {number} [threads] 2 by default
 * @property {{ name: string, values: Float32Array }[]} [imatrix] importance, as llama-quantize's command line would have made it
 * @property {{ key: string, value: string | number }[]} [overrides] metadata: texts and integers
 */

koffi.struct('Importance', { name: 'const char *', data: 'float *', size: 'size_t' });
// llama_model_kv_override: the value is a union, in which the string is the longest and int64 has the largest
// alignment.
koffi.struct('Override', {
  tag: 'int32_t',
  key: koffi.array('char', 128, 'String'),
  value: koffi.array('int64_t', 16),
});
const Params = koffi.struct('Params', {
  nthread: 'int32_t',
  ftype: 'int32_t',
  output_tensor_type: 'int32_t',
  token_embedding_type: 'int32_t',
  allow_requantize: 'bool',
  quantize_output_tensor: 'bool',
  only_copy: 'bool',
  pure: 'bool',
  keep_split: 'bool',
  dry_run: 'bool',
  imatrix: 'Importance *',
  kv_overrides: 'Override *',
  tt_overrides: 'void *',
  prune_layers: 'void *',
  max_buf_size: 'size_t',
});
const defaults = llama('Params llama_model_quantize_default_params()');
const quantize = llama('uint32_t llama_model_quantize(const char *input, const char *output, const Params *params)');

/** Tags of an override's value. */
const INTEGER = 0;
const TEXT = 3;

/** @param {{ key: string, value: string | number }} override */
function override({ key, value }) {
  const bytes = Buffer.alloc(128);
  if (typeof value === 'number') bytes.writeBigInt64LE(BigInt(value));
  else bytes.write(value, 0, 127, 'utf8');
  const words = Array.from({ length: 16 }, (_, index) => bytes.readBigInt64LE(8 * index));
  return { tag: typeof value === 'number' ? INTEGER : TEXT, key, value: words };
}

process.once('message', (/** @type {Job} */ job) => {
  const {
    input,
    output,
    ftype,
    allowRequantize = false,
    keepSplit = false,
    onlyCopy = false,
    threads = 2,
    imatrix,
    overrides,
  } = job;
  if (koffi.sizeof(Params) !== 64) throw new Error('llama_model_quantize_params has another layout');
  /** Both lists end with an empty entry. */
  const importance = imatrix?.map(({ name, values }) => ({ name, data: values, size: values.length }));
  const params = {
    ...defaults(),
    nthread: threads,
    ftype,
    allow_requantize: allowRequantize,
    keep_split: keepSplit,
    only_copy: onlyCopy,
    imatrix: importance ? [...importance, { name: null, data: null, size: 0 }] : null,
    kv_overrides: overrides ? [...overrides, { key: '', value: 0 }].map(override) : null,
  };
  process.exit(quantize(input, output, params) === 0 ? 0 : 1);
});
