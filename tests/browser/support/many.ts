/** Models of many tensors, each of them small. */

import { gguf, LLAMA, TYPE, type TestTensor } from '../../js/support/gguf.js';
import { uniform } from '../../js/support/random.js';

/** A model with this many layers of these kinds of tensors, and two tensors outside them, each with 512 F16 weights. */
export function layered(layers: number, kinds: readonly string[] = ['attn_q', 'ffn_down']): Buffer {
  const random = uniform(1);
  const halves = Uint16Array.from({ length: 512 }, () => (0x2400 + random() * 0x0c00) | (random() < 0.5 ? 0x8000 : 0));
  const bytes = new Uint8Array(halves.buffer);
  const tensor = (name: string): TestTensor => ({ name: `${name}.weight`, type: TYPE.F16, shape: [256, 2], bytes });
  const names = Array.from({ length: layers }, (_, layer) => kinds.map((kind) => `blk.${layer}.${kind}`)).flat();
  const all = ['token_embd', ...names, 'output'].map(tensor);
  return Buffer.from(gguf({ ...LLAMA, 'llama.block_count': layers }, all));
}
