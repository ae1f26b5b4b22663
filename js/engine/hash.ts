/** Hashes of data that does not fit in memory. */

import { runtimeHash } from './platform.js';
import { call } from './wasm.js';

/** A hash of data that arrives in pieces. */
export interface Hasher {
  /** Adds the next bytes. */
  update(bytes: Uint8Array): void;
  /** Returns the hash in hexadecimal and ends the hasher. */
  hex(): string;
}

/** SHA-256, as `sha256sum` writes it: the system's if there is one, otherwise the engine's. */
export function sha256(): Hasher {
  const own = runtimeHash('sha256');
  return own ? { update: (bytes) => void own.update(bytes), hex: () => own.digest('hex') } : engineHash('sha256');
}

/** XXH64 with seed 0, as `llama-gguf-hash` writes it. */
export function xxh64(): Hasher {
  return engineHash('xxh64');
}

/** A hash computed by the engine. */
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

/** The SHA-256 and the XXH64 of a few bytes: faster than one {@link Hasher} each if there are many. */
export function hashesOf(bytes: Uint8Array): [sha256: string, xxh64: string] {
  return call((engine) => engine.hashes(bytes)) as [string, string];
}

/** The hash of bytes in memory. */
export function hashOf(hasher: Hasher, bytes: Uint8Array): string {
  hasher.update(bytes);
  return hasher.hex();
}
