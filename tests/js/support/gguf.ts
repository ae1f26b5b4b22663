/** Writes small GGUF files for tests, straight from the specification and not with the code under test. */

/** Numbers of `ggml_type`. */
export const TYPE = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8, I32: 26 } as const;

/** A tensor to write. */
export interface TestTensor {
  name: string;
  type: number;
  shape: number[];
  bytes: Uint8Array;
}

/** A metadata value: u32, text, or an array of texts. */
export type TestValue = number | string | string[];

const ALIGNMENT = 32;

/** Metadata for which llama.cpp applies its rules for a plain llama model. */
export const LLAMA: Record<string, TestValue> = {
  'general.architecture': 'llama',
  'llama.block_count': 2,
  'llama.attention.head_count': 4,
  'llama.attention.head_count_kv': 4,
};

/** The header of a file, up to the tensor data. The sizes are those of `tensors`, whose bytes may be missing. */
export function ggufHeader(
  metadata: Record<string, TestValue>,
  tensors: readonly (Omit<TestTensor, 'bytes'> & { size: number })[],
): Uint8Array<ArrayBuffer> {
  const out = new Writer();
  out.raw('GGUF').u32(3).u64(tensors.length).u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) writePair(out, key, value);
  let offset = 0;
  for (const { name, type, shape, size } of tensors) {
    out.text(name).u32(shape.length);
    for (const n of shape) out.u64(n);
    out.u32(type).u64(offset);
    offset += padded(size, alignmentOf(metadata));
  }
  return out.padTo(alignmentOf(metadata)).bytes();
}

/** A whole file. */
export function gguf(metadata: Record<string, TestValue>, tensors: readonly TestTensor[]): Uint8Array<ArrayBuffer> {
  const header = ggufHeader(
    metadata,
    tensors.map((tensor) => ({ ...tensor, size: tensor.bytes.length })),
  );
  const padding = ({ length }: Uint8Array) => new Uint8Array(padded(length, alignmentOf(metadata)) - length);
  const parts = [header, ...tensors.flatMap(({ bytes }) => [bytes, padding(bytes)])];
  return joined(parts);
}

/** The size a tensor takes in the file. */
export function padded(size: number, alignment = ALIGNMENT): number {
  return Math.ceil(size / alignment) * alignment;
}

function alignmentOf({ 'general.alignment': alignment }: Record<string, TestValue>): number {
  return typeof alignment === 'number' ? alignment : ALIGNMENT;
}

/** A tensor of f32 weights, from a function of the index. */
export function floats(name: string, shape: number[], weight: (index: number) => number): TestTensor {
  const count = shape.reduce((product, n) => product * n, 1);
  const weights = Float32Array.from({ length: count }, (_, index) => weight(index));
  return { name, type: TYPE.F32, shape, bytes: new Uint8Array(weights.buffer) };
}

/** Weights that are all different. */
export function wave(index: number): number {
  return Math.sin(index * 0.37) * (1 + (index % 29) / 7);
}

function writePair(out: Writer, key: string, value: TestValue): void {
  out.text(key);
  if (typeof value === 'number') out.u32(4).u32(value);
  else if (typeof value === 'string') out.u32(8).text(value);
  else {
    out.u32(9).u32(8).u64(value.length);
    for (const text of value) out.text(text);
  }
}

class Writer {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  raw(text: string): this {
    return this.#push(new TextEncoder().encode(text));
  }

  u32(value: number): this {
    return this.#push(new Uint8Array(Uint32Array.of(value).buffer));
  }

  u64(value: number): this {
    return this.#push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }

  text(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u64(bytes.length).#push(bytes);
  }

  padTo(multiple: number): this {
    return this.#push(new Uint8Array(Math.ceil(this.#length / multiple) * multiple - this.#length));
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return joined(this.#parts);
  }

  #push(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
