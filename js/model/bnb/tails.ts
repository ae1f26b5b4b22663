/** What follows the codes of a 4-bit tensor in a file: its scales and its state, known when all of its tiles are. */

import { QuantpressError } from '../../engine/error.js';
import { BLOCK, NESTED_BLOCK, type FourBitPlan, type FourBitTensor } from './plan.js';
import { table4bit } from '../../numerics/nf4.js';
import type { Tile } from '../quantize/tiles.js';
import { call } from '../../engine/wasm.js';

/** What stands after a tensor's codes. */
export interface Tail {
  bytes: Uint8Array<ArrayBuffer>;
  /** What its scales are decoded to, where that is not what the tiles had: with a second level. */
  scales?: Float32Array<ArrayBuffer>;
}

/** Scales with a second level. */
interface Nested {
  codes: Uint8Array<ArrayBuffer>;
  nestedAbsmax: Float32Array<ArrayBuffer>;
  nestedMap: Float32Array<ArrayBuffer>;
  offset: number;
}

/** Collects scales, tile by tile in any order. Memory is that of the scales of the tensors under way. */
export class FourBitTails {
  readonly #plan: FourBitPlan;
  readonly #begun = new Map<number, { absmax: Float32Array<ArrayBuffer>; left: number }>();

  constructor(plan: FourBitPlan) {
    this.#plan = plan;
  }

  /** One more tile is encoded: gives what follows the codes, if it was the tensor's last. */
  add({ index, tensor, firstWeight }: Tile, absmax: Float32Array): Tail | undefined {
    const state = this.#plan.quantized[index];
    if (!state) throw new TypeError(`tensor ${index} is not quantized`);
    const begun = this.#begun.get(index) ?? { absmax: new Float32Array(state.blocks), left: state.blocks };
    begun.absmax.set(absmax, firstWeight / BLOCK);
    begun.left -= absmax.length;
    this.#begun.set(index, begun);
    if (begun.left > 0) return undefined;
    this.#begun.delete(index);
    const tail = this.#tail(begun.absmax, state);
    const expected = tensor.paddedBytes - tensor.targetBytes;
    if (tail.bytes.length === expected) return tail;
    const message = `tensor '${tensor.name}' has ${tail.bytes.length} bytes of scales where ${expected} were planned`;
    throw new QuantpressError('LENGTH', message, { tensor: tensor.name });
  }

  #tail(absmax: Float32Array<ArrayBuffer>, { shape, dtype, stateBytes }: FourBitTensor): Tail {
    const { dataType, double } = this.#plan;
    const nested = double ? (call((engine) => engine.doubleAbsmax(absmax)) as Nested) : undefined;
    const state = call((engine) =>
      engine.fourBitState(dataType, BLOCK, dtype, Uint32Array.from(shape), nested?.offset),
    );
    const scales = nested ? [nested.nestedAbsmax, nested.nestedMap] : [absmax];
    const parts = [
      ...(nested ? [nested.codes] : []),
      new TextEncoder().encode(state.padEnd(stateBytes)),
      ...[...scales, table4bit(dataType)].map(
        (floats) => new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength),
      ),
    ];
    const tail = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      tail.set(part, at);
      at += part.length;
    }
    return { bytes: tail, ...(nested && { scales: decodedScales(nested) }) };
  }
}

/** The scales of a second level, as every reader decodes them: in single precision, step by step. */
function decodedScales({ codes, nestedAbsmax, nestedMap, offset }: Nested): Float32Array<ArrayBuffer> {
  return Float32Array.from(codes, (code, block) => {
    const scaled = Math.fround((nestedMap[code] ?? 0) * (nestedAbsmax[Math.floor(block / NESTED_BLOCK)] ?? 0));
    return scaled + offset;
  });
}
