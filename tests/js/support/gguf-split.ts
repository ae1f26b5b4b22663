/**
 * The output of `llama-gguf-split` for a GGUF file, implemented from its source (tools/gguf-split/gguf-split.cpp)
 * without the code under test: the metadata in the first shard, a few tensors in each.
 */

/** Where to split: after a number of tensors, or before a shard's tensors exceed a number of bytes. */
export type Cut = { maxTensors: number } | { maxSize: number };

interface Tensor {
  name: string;
  dims: bigint[];
  type: number;
  data: Uint8Array;
}

/** Sizes of the value types; 0 for strings and arrays. */
const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

/** Blocks of the types in the files that tests split: [weights, bytes]. */
const BLOCKS: Record<number, [number, number]> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  8: [32, 34],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  30: [1, 2],
};

/** The shards of a file. */
export function ggufSplit(file: Uint8Array, cut: Cut, firstWithoutTensors = false): Uint8Array<ArrayBuffer>[] {
  const { pairs, pairCount, tensors } = parse(file);
  const shards: Tensor[][] = [[]];
  if (firstWithoutTensors) shards.push([]);
  let size = 0;
  for (const [index, tensor] of tensors.entries()) {
    const bytes = pad(tensor.data.length);
    const over = 'maxSize' in cut ? size + bytes > cut.maxSize : index > 0 && index % cut.maxTensors === 0;
    if (over) shards.push([]);
    size = over ? bytes : size + bytes;
    shards.at(-1)?.push(tensor);
  }
  return shards.map((held, number) => {
    const split = [
      pair('split.no', 2, u16(number)),
      pair('split.tensors.count', 5, u32(tensors.length)),
      // It is set again when all shards are known, which moves it to the end.
      pair('split.count', 2, u16(shards.length)),
    ];
    return write(number === 0 ? [pairs, ...split] : split, (number === 0 ? pairCount : 0) + 3, held);
  });
}

/** `NAME-00002-of-00003.gguf`, as in `llama_split_path`. */
export function shardName(stem: string, index: number, count: number): string {
  const number = (n: number) => String(n).padStart(5, '0');
  return `${stem}-${number(index + 1)}-of-${number(count)}.gguf`;
}

function parse(file: Uint8Array): { pairs: Uint8Array; pairCount: number; tensors: Tensor[] } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 8;
  const number = (bytes: 4 | 8) => {
    const value = bytes === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
    at += bytes;
    return value;
  };
  const text = () => {
    const length = number(8);
    at += length;
    return new TextDecoder().decode(file.subarray(at - length, at));
  };
  const skip = (type: number) => {
    if (type === 8) text();
    else if (type !== 9) at += SIZES[type] ?? 0;
    else {
      const element = number(4);
      for (let left = number(8); left > 0; left--) skip(element);
    }
  };
  const [tensorCount, pairCount] = [number(8), number(8)];
  const start = at;
  for (let left = pairCount; left > 0; left--) {
    text();
    skip(number(4));
  }
  const pairs = file.subarray(start, at);
  const records = Array.from({ length: tensorCount }, () => {
    const name = text();
    const dims = Array.from({ length: number(4) }, () => BigInt(number(8)));
    return { name, dims, type: number(4), offset: number(8) };
  });
  const data = pad(at);
  const tensors = records.map(({ name, dims, type, offset }) => {
    const [weights, bytes] = BLOCKS[type] ?? [0, 0];
    const length = (Number(dims.reduce((product, n) => product * n, 1n)) / weights) * bytes;
    return { name, dims, type, data: file.subarray(data + offset, data + offset + length) };
  });
  return { pairs, pairCount, tensors };
}

function write(pairs: Uint8Array[], pairCount: number, tensors: Tensor[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [new TextEncoder().encode('GGUF'), u32(3), u64(tensors.length), u64(pairCount), ...pairs];
  let offset = 0;
  for (const { name, dims, type, data } of tensors) {
    parts.push(string(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset));
    offset += pad(data.length);
  }
  const header = parts.reduce((sum, { length }) => sum + length, 0);
  parts.push(new Uint8Array(pad(header) - header));
  for (const { data } of tensors) parts.push(data, new Uint8Array(pad(data.length) - data.length));
  return new Uint8Array(Buffer.concat(parts));
}

const pad = (size: number): number => Math.ceil(size / 32) * 32;
const u16 = (value: number): Uint8Array => new Uint8Array(Uint16Array.of(value).buffer);
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: number | bigint): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
const string = (text: string): Uint8Array => Buffer.concat([u64(text.length), Buffer.from(text)]);
const pair = (key: string, type: number, value: Uint8Array): Uint8Array =>
  Buffer.concat([string(key), u32(type), value]);
