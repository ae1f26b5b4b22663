/** Records results: tables in Markdown, with the machine and the date. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The root of the project. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The formats, presets or operations named on the command line; empty means all. */
export const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));

/**
 * A table whose first column is text and whose other columns are numbers. @param {string[]} head @param {string[][]}
 * rows
 */
export function table(head, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `|---|${'---:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

/** Formats a ratio; larger is better for us. @param {number | undefined} ratio */
export const times = (ratio) => (ratio === undefined ? '' : `**${ratio.toFixed(2)}**`);

/** Formats a number with about three digits. @param {number | undefined} value */
export const figure = (value) => (value === undefined ? '' : value.toFixed(value < 100 ? 1 : 0));

/**
 * Prints the results; with `--record` also writes them to `benches/results/`.
 * @param {string} name the file name, without extension @param {string} title @param {string} about @param {string}
 * body
 */
export function report(name, title, about, body) {
  console.log(body);
  if (!process.argv.includes('--record')) return;
  const machine = `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, Node ${process.version}`;
  const date = new Date().toISOString().slice(0, 10);
  const folder = new URL('../results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.md`, folder), `# ${title}\n\n${machine}, ${date}. ${about}\n\n${body}\n`);
}
