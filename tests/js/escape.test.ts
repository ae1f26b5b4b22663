/** Escaped output: whatever a model's names and metadata contain, terminals and readers of JSON are safe. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { escaped, escapedJson } from '../../dist/engine/escape.js';
import { printable } from '../../dist/cli/text.js';

/**
 * One of each kind: C0, DEL, C1 (CSI), bidi, zero width, tags, separators, spaces, fillers, private use, a lone
 * surrogate.
 */
const HIDDEN = [
  '\u0000',
  '\u001b[31m',
  '\u007f',
  '\u009b31m',
  '\u009d',
  '\u202e',
  '\u2066',
  '\u061c',
  '\u200b',
  '\u200d',
  '\ufeff',
  '\u{e0041}',
  '\u2028',
  '\u2029',
  '\u00a0',
  '\u3000',
  '\u2800',
  '\u3164',
  '\u00ad',
  '\ufe0f',
  '\ue000',
  '\ud800',
];
const VISIBLE = 'blk.0.ffn_up.weight äöü 中文 日本語 العربية עברית हिन्दी 🐳 ½ "quoted" \\ back';

/** Characters that must not be in any output, written independently of the tested expression. */
function hiddenIn(text: string): string[] {
  return [...text].filter((char) => {
    const code = char.codePointAt(0) ?? 0;
    if (char === '\n') return false;
    if (code < 0x20 || (code >= 0x7f && code <= 0xa0) || code === 0xad || code === 0x61c) return true;
    if ((code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e)) return true;
    if ((code >= 0x2066 && code <= 0x2069) || code === 0xfeff || code === 0x3000 || code === 0x2800) return true;
    return (
      code === 0x3164 || (code >= 0xd800 && code <= 0xf8ff) || (code >= 0xfe00 && code <= 0xfe0f) || code >= 0xe0000
    );
  });
}

test('invisible characters are escaped, visible ones are unchanged', () => {
  for (const text of HIDDEN) {
    expect(hiddenIn(escaped(text)), JSON.stringify(text)).toEqual([]);
    expect(JSON.parse(`"${escaped(text)}"`)).toBe(text);
  }
  expect(escaped(VISIBLE)).toBe(VISIBLE);
  expect(escaped('\u009b')).toBe('\\u009b');
  expect(escaped('\u{e0041}')).toBe('\\udb40\\udc41');
});

test('escaped JSON has the same value and no invisible characters', () => {
  const value = { [HIDDEN.join('')]: [HIDDEN.join(' '), VISIBLE, 1, null], nested: { a: '\n' } };
  for (const indent of [undefined, 2]) {
    const json = escapedJson(value, undefined, indent);
    expect(hiddenIn(json)).toEqual([]);
    expect(JSON.parse(json)).toEqual(value);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      expect(hiddenIn(escaped(text))).toEqual([]);
      expect(JSON.parse(escapedJson([text]))).toEqual([text]);
    }),
    { numRuns: 300 },
  );
});

test('long text is truncated between characters', () => {
  expect(printable('🐳'.repeat(4), 3)).toBe('🐳... (8 characters)');
  expect(printable('\u009b'.repeat(5), 2)).toBe('\\u009b\\u009b... (5 characters)');
});

/** A GGUF file with one tensor, with a given name and metadata value. */
function gguf(name: string, key: string, value: string): Uint8Array {
  const text = new TextEncoder();
  const parts: (Uint8Array | number[])[] = [];
  const u32 = (n: number) => parts.push(new Uint8Array(Uint32Array.of(n).buffer));
  const u64 = (n: number) => parts.push(new Uint8Array(BigUint64Array.of(BigInt(n)).buffer));
  const string = (s: string) => {
    const bytes = text.encode(s);
    u64(bytes.length);
    parts.push(bytes);
  };
  parts.push(text.encode('GGUF'));
  u32(3);
  u64(1);
  u64(2);
  string('general.architecture');
  u32(8);
  string('llama');
  string(key);
  u32(8);
  string(value);
  string(name);
  u32(2);
  u64(256);
  u64(1);
  u32(0);
  u64(0);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(new Uint8Array(Math.ceil(length / 32) * 32 - length), new Uint8Array(1024).fill(0x3c));
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const folder = mkdtempSync(join(tmpdir(), 'quantpress-escape-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('no command prints invisible characters of a file', () => {
  const hidden = HIDDEN.filter((char) => char !== '\ud800').join('');
  const name = `a${hidden.slice(0, 20)}.weight`;
  writeFileSync(join(folder, 'a.gguf'), gguf(name, `key${hidden}`, `value${hidden}`));
  writeFileSync(join(folder, 'b.gguf'), gguf(name, `key${hidden}`, `other${hidden}`));
  const missing = `missing${hidden.replaceAll('\u0000', '')}.gguf`;
  const commands = [
    ['inspect', 'a.gguf'],
    ['inspect', '--json', 'a.gguf'],
    ['analyze', '--formats', 'Q8_0', 'a.gguf'],
    ['analyze', '--json', '--formats', 'Q8_0', 'a.gguf'],
    ['diff', 'a.gguf', 'b.gguf'],
    ['diff', '--json', 'a.gguf', 'b.gguf'],
    ['verify', 'a.gguf'],
    ['quantize', '--dry-run', 'a.gguf', 'out.gguf', 'Q8_0'],
    ['quantize', '--report', 'report.json', 'a.gguf', 'out.gguf', 'Q8_0'],
    ['quantize', '--tensor-type', `${missing}=Q8_0`, '--dry-run', 'a.gguf', 'out.gguf', missing],
    ['inspect', missing],
    [missing],
  ];
  const cli = join(process.cwd(), 'dist/cli/main.js');
  let seen = 0;
  for (const args of commands) {
    const { stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd: folder, encoding: 'utf8' });
    expect(hiddenIn(stdout + stderr), args.join(' ')).toEqual([]);
    expect(stdout + stderr, args.join(' ')).not.toBe('');
    if (args.includes('--json'))
      expect(JSON.stringify(JSON.parse(stdout))).toContain(JSON.stringify(name).slice(1, -1));
    if ((stdout + stderr).includes('\\u009b')) seen += 1;
  }
  // They print it escaped.
  expect(seen).toBeGreaterThan(8);
});
