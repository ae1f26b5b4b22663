/** Runs the command line as a process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

/** Its path. */
export const CLI = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

/** The outcome of a command. */
export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line; `act` is called whenever it prints something, and `begin` when it starts. */
export function quantpress(
  args: string[],
  cwd?: string,
  act?: (child: ChildProcess, stderr: string) => void,
  begin?: (child: ChildProcess) => void,
): Promise<Outcome> {
  const child = spawn(process.execPath, [CLI, ...args], { cwd });
  begin?.(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    act?.(child, stderr);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

/** A message is one sentence that begins with the program's name. */
export function expectSentence({ stderr }: Outcome): void {
  expect(stderr).toMatch(/^quantpress: [^\n]+\n/);
  expect(stderr).not.toMatch(/\n\s+at /);
}
