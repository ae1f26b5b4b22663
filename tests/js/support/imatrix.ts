/** Importance matrices for tests. */

/** A matrix of one tensor in the format that llama-imatrix wrote before GGUF. */
export function legacyMatrix(name: string, values: Float32Array): Uint8Array<ArrayBuffer> {
  const int = (value: number) => Buffer.from(Int32Array.of(value).buffer);
  const floats = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const entry = [int(name.length), Buffer.from(name), int(1), int(values.length), floats];
  return new Uint8Array(Buffer.concat([int(1), ...entry, int(1), int(4), Buffer.from('text')]));
}
