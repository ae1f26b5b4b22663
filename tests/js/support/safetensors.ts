/** Writes safetensors files without the code under test. */

/** A file of these tensors, their data in their order. */
export function safetensorsFile(
  tensors: Record<string, { dtype: string; shape: number[]; data: Uint8Array }>,
): Uint8Array {
  let at = 0;
  const header = Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
    const record = { dtype, shape, data_offsets: [at, at + data.length] };
    at += data.length;
    return [name, record] as const;
  });
  const text = new TextEncoder().encode(
    JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(header) }),
  );
  const bytes = new Uint8Array(8 + text.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let offset = 8 + text.length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(data, offset);
    offset += data.length;
  }
  return bytes;
}
