/** Hashes of what is too large to be in memory. */

import { runtimeHash } from './platform.js';
import { call } from './wasm.js';

/** A hash that is fed piece by piece. */
export interface Hasher {
  /** Takes in the next bytes. */
  update(bytes: Uint8Array): void;
  /** The hash in hexadecimal. It ends the hasher. */
  hex(): string;
}

/** SHA-256, as `sha256sum` writes it: the system's own where there is one, else the engine's. */
export function sha256(): Hasher {
  const own = runtimeHash('sha256');
  return own ? { update: (bytes) => void own.update(bytes), hex: () => own.digest('hex') } : engineHash('sha256');
}

/** XXH64 with seed 0, as `llama-gguf-hash` writes it. */
export function xxh64(): Hasher {
  return engineHash('xxh64');
}

/** A hash of the engine's. */
export function engineHash(kind: 'sha256' | 'xxh64'): Hasher {
  const hasher = call((engine) => engine.Hasher[kind]());
  return {
    update: (bytes) => call(() => hasher.update(bytes)),
    hex: () => {
      const hex = call(() => hasher.hex());
      hasher.free();
      return hex;
    },
  };
}

/** The SHA-256 and the XXH64 of a few bytes: for many of them faster than a {@link Hasher} each. */
export function hashesOf(bytes: Uint8Array): [sha256: string, xxh64: string] {
  return call((engine) => engine.hashes(bytes)) as [string, string];
}

/** The hash of bytes that are all there. */
export function hashOf(hasher: Hasher, bytes: Uint8Array): string {
  hasher.update(bytes);
  return hasher.hex();
}
