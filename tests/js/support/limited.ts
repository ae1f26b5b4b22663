/** The engine with less memory than 4 GiB, so that a test can exhaust it with a few megabytes. */

/** The same module with a maximum of memory: `pages` of 64 KiB more than its initial size. */
export function limited(bytes: Uint8Array, pages: number): Uint8Array<ArrayBuffer> {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const encoded = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...encoded(value >>> 7)]);
  while (at < bytes.length) {
    const start = at;
    const id = bytes[at++];
    const size = number();
    const end = at + size;
    if (id !== MEMORY) {
      at = end;
      continue;
    }
    number(); // how many memories: one
    number(); // whether it has a maximum
    const initial = number();
    const section = [1, 1, ...encoded(initial), ...encoded(initial + pages)];
    const before = bytes.subarray(0, start);
    return Uint8Array.from([...before, MEMORY, ...encoded(section.length), ...section, ...bytes.subarray(end)]);
  }
  throw new Error('the module has no memory');
}

/** The section of memories. */
const MEMORY = 5;
