/** Texts that models are run on. */

import type { FileReference } from '../io/file-identity.js';
import { openInput } from '../io/source/open.js';
import { readExactly } from '../io/source/source.js';
import { expectTextSize } from '../model/evaluate/run.js';

/** The bytes of a text, without one line break at its end, as llama.cpp's tools read it; and the files it was read from. */
export async function readText(
  name: string,
  signal: AbortSignal,
): Promise<{ bytes: Uint8Array; reads: readonly FileReference[] }> {
  const source = await openInput(name, { signal });
  try {
    expectTextSize(source.size);
    const bytes = await readExactly(source, 0, source.size, signal);
    const reads = (await source.files?.()) ?? [];
    return { bytes: bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes, reads };
  } finally {
    await source.close?.();
  }
}
