#!/usr/bin/env node
/** The command line: `quantpress quantize IN OUT PRESET`, `quantpress inspect FILE` ... */

import { readFileSync } from 'node:fs';
import { analyze } from './analyze.js';
import { UsageError } from './args.js';
import { diff } from './diff.js';
import { HELP, overview } from './help.js';
import { imatrix } from './imatrix.js';
import { inspect } from './inspect.js';
import { perplexity } from './perplexity.js';
import { quantize } from './quantize.js';
import { printable } from './text.js';
import { verify } from './verify.js';
import { QuantpressError } from '../engine/error.js';
import { init } from '../node.js';
import { systemError } from '../io/system-error.js';
import { removeUnfinished } from '../io/target/file.js';

/** A command gets the arguments after its name, and a signal that Ctrl-C aborts; it may return an exit code. */
type Command = (args: string[], signal: AbortSignal) => Promise<unknown>;

const COMMANDS: Record<string, Command> = { quantize, inspect, analyze, imatrix, perplexity, diff, verify };

/** The exit code of a failed command for which 1 is a result: `diff` has the codes of diff and cmp. */
const FAILED: Record<string, number> = { diff: 2 };

/** The exit codes that a shell expects of a program ended by a signal. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129, SIGQUIT: 131 } as const;

/** Milliseconds that an interrupted run may take to end; after a second signal, the shorter time. */
const GRACE = 5000;
const SHORT_GRACE = 2000;

/**
 * Runs one command line and returns the exit code: 0 done, 1 failed (see {@link FAILED}), 2 wrong usage, 128 + n ended
 * by signal n.
 */
async function main(args: string[]): Promise<number> {
  const signal = interruption();
  try {
    const answer = await dispatch(args, signal);
    return typeof answer === 'number' ? answer : 0;
  } catch (error) {
    if (signal.aborted) return signal.reason as number;
    return complain(error) ? 2 : (FAILED[args[0] ?? ''] ?? 1);
  }
}

/**
 * Aborted by the first signal that should end the program, which then removes its partial output. A further signal does
 * not end it at once, because a terminal and a parent process may each send one within milliseconds. A program that is
 * stuck is ended after a time limit.
 */
function interruption(): AbortSignal {
  const interrupted = new AbortController();
  let since = 0;
  const end = (name: NodeJS.Signals) => {
    removeUnfinished();
    // Not process.exit, which waits for threads that may be stuck in the system.
    process.removeAllListeners(name);
    process.kill(process.pid, name);
  };
  for (const [name, code] of Object.entries(SIGNALS) as [keyof typeof SIGNALS, number][]) {
    process.on(name, () => {
      const first = !interrupted.signal.aborted;
      since ||= performance.now();
      interrupted.abort(code);
      const grace = first ? GRACE : Math.max(0, SHORT_GRACE - (performance.now() - since));
      setTimeout(end, grace, name).unref();
    });
  }
  return interrupted.signal;
}

async function dispatch([name, ...rest]: string[], signal: AbortSignal): Promise<unknown> {
  if (name === undefined) throw new UsageError('there is no command', overview());
  if (name === '--version' || name === '-V') return print(version());
  if (name === '--help' || name === '-h') return print(overview());
  if (name === 'help') return print((rest[0] && HELP[rest[0]]) || overview());
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new UsageError(`there is no command '${name}'`, overview());
  if (rest.includes('--help') || rest.includes('-h')) return print(HELP[name] ?? overview());
  await init();
  return command(rest, signal);
}

/** Prints one sentence on stderr, with a stack only for internal errors. Returns whether it was wrong usage. */
function complain(error: unknown): boolean {
  if (error instanceof UsageError) {
    console.error(`quantpress: ${printable(error.message)}\n${error.help}`);
    return true;
  }
  if (error instanceof QuantpressError) {
    console.error(`quantpress: ${printable(error.message)}`);
    return error.code === 'SAME_FILE';
  }
  console.error('quantpress: internal error (please report):', error);
  return false;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// Whatever happens, no partial file is left except one that --resume continues.
process.on('exit', removeUnfinished);
// Standard error may be closed: a conversion must not fail because of progress or messages.
process.stderr.on('error', () => {});
let unwritten: NodeJS.ErrnoException | undefined;
process.stdout.on('error', (error) => {
  unwritten ??= error;
});
const code = await main(process.argv.slice(2));
// Errors of a stream come a moment after its last write.
await new Promise((resolve) => process.stdout.write('', resolve));
// `quantpress inspect FILE | head` closes the pipe early, which is not a failure.
if (unwritten && unwritten.code !== 'EPIPE') complain(systemError(unwritten, 'cannot write to standard output'));
process.exitCode = code === 0 && unwritten && unwritten.code !== 'EPIPE' ? 1 : code;
