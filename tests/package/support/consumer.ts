/** A project of someone else's: an empty folder in which the packed package is installed. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pack } from '../../../tools/lib/package-check.js';

/** The project. */
export interface Consumer {
  folder: string;
  /** Writes files into it. */
  write(files: Record<string, string>): void;
  /** Runs a program in it, and returns what it prints. */
  run(program: string, ...args: string[]): string;
  remove(): void;
}

let packed: Promise<string> | undefined;

/** Creates a project outside this one, so that nothing of this one is found by accident. */
export async function createConsumer(): Promise<Consumer> {
  packed ??= pack();
  const tarball = await packed;
  const folder = mkdtempSync(join(tmpdir(), 'quantpress-consumer-'));
  const write = (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
  };
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  write({ 'package.json': JSON.stringify({ name: 'consumer', private: true, type: 'module' }) });
  // The package has no dependencies, so this needs no network; `--offline` proves it.
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--loglevel=error', tarball);
  return { folder, write, run, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Makes a tool of this project available to the consumer. */
export function lend(consumer: Consumer, ...names: string[]): void {
  for (const name of names) {
    const link = join(consumer.folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(resolve('node_modules', name), link);
  }
}
