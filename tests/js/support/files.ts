/** Folders that are removed after a test, and hashes of their files. */

import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder for one test. */
export function folder(): { path: string; file(name: string): string; names(): string[] } {
  const path = mkdtempSync(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return { path, file: (name) => join(path, name), names: () => readdirSync(path).sort() };
}

/** The sha256 of bytes or of a file. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256')
    .update(typeof content === 'string' ? readFileSync(content) : content)
    .digest('hex');
}
