#!/usr/bin/env node
/** The command line: `quantpress quantize IN OUT PRESET`, `quantpress inspect FILE`. */

import { readFileSync } from 'node:fs';
import { UsageError } from './cli-args.js';
import { HELP, overview } from './cli-help.js';
import { inspect } from './cli-inspect.js';
import { quantize } from './cli-quantize.js';
import { printable } from './cli-text.js';
import { verify } from './cli-verify.js';
import { QuantpressError } from './error.js';
import { init } from './node.js';

/** A command gets what follows its name, and a signal that Ctrl-C aborts. */
const COMMANDS: Record<string, (args: string[], signal: AbortSignal) => Promise<void>> = { quantize, inspect, verify };

/** What a shell expects of a program that a signal ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Runs one command line; gives the exit code: 0 done, 1 failed, 2 wrong usage, 128 + n ended by signal n. */
async function main(args: string[]): Promise<number> {
  const interrupted = new AbortController();
  for (const [name, code] of Object.entries(SIGNALS)) process.once(name, () => interrupted.abort(code));
  try {
    await dispatch(args, interrupted.signal);
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) return interrupted.signal.reason as number;
    return complain(error);
  }
}

async function dispatch([name, ...rest]: string[], signal: AbortSignal): Promise<void> {
  if (name === undefined) throw new UsageError('there is no command', overview());
  if (name === '--version' || name === '-V') return print(version());
  if (name === '--help' || name === '-h') return print(overview());
  if (name === 'help') return print((rest[0] && HELP[rest[0]]) || overview());
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new UsageError(`there is no command '${name}'`, overview());
  if (rest.includes('--help') || rest.includes('-h')) return print(HELP[name] ?? overview());
  await init();
  await command(rest, signal);
}

/** One sentence on stderr. A stack is for faults of ours. */
function complain(error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`quantpress: ${printable(error.message)}\n${error.help}`);
    return 2;
  }
  if (error instanceof QuantpressError) console.error(`quantpress: ${printable(error.message)}`);
  else console.error('quantpress: a fault of its own; please report it:', error);
  return 1;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// `quantpress inspect FILE | head` closes the pipe early, and that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await main(process.argv.slice(2));
