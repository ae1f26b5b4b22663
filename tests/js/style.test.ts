/** Plain English: phrases that read as a translation must not come back anywhere in the repository. */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const self = 'tests/js/style.test.ts';

/** What not to write, as a regular expression without regard to case, and what to write instead. */
const PHRASES: [RegExp, string][] = [
  [/\b(is|are) no numbers?\b/i, 'NaN, infinite, non-finite, not a number'],
  [/\b(lies?|lying) beside\b/i, 'next to, sidecar file, the other files of the folder'],
  [/\bis no (JSON|nearer)\b/i, 'is not JSON, is not nearer'],
  [/\bgiven up\b/i, 'aborted, interrupted, killed'],
  [/\bgoes on with\b/i, 'resumes, continues'],
  [/\b(unless told|told otherwise)\b/i, 'by default, unless specified'],
  [/\bif it is left out\b/i, 'by default'],
  [/\bwhat the model says\b/i, 'outputs, completion'],
  [/\bthe likeliest\b/i, 'the most likely, greedy'],
  [/\bforesee(s|n)?\b/i, 'predicts'],
  [/\bwhere it lies\b/i, 'in place, on disk'],
  [/\bwords of the file\b/i, 'keys, tokens, vocabulary'],
  [/\blevels told\b/i, 'levels'],
  [/\bwhat counts\b/i, 'importance, what matters'],
  [/\bfault of its own\b/i, 'internal error (please report)'],
  [/\bsays which this is\b/i, 'prints the version'],
  [/\bof another model\b/i, 'belongs to another model'],
  [/\bmay it be\b/i, 'even if'],
  [/\bsuch as are\b/i, 'those that are'],
  [/\bthereof\b/i, 'of it, of this'],
  [/\bis it that\b/i, 'is'],
  [/\bthe bytes show it\b/i, 'the bytes depend on it'],
  [/\b(goes|go|gone|going) on with\b/i, 'resumes, continues'],
  [/\bwhere they already are\b/i, 'in place, locally'],
  [/\bis none of its\b/i, 'does not belong to it, is not one of its'],
  [/\b(throws|thrown|threw) away\b/i, 'discards, removes'],
  [/\b(takes|taken) (away|home)\b/i, 'removes, exports'],
  [/\b(lets|letting) go of\b/i, 'closes, frees, yields'],
  [/\btold apart\b/i, 'distinguished'],
  [/\bheld against\b/i, 'compared with'],
  [/\b(is|are) at work on\b/i, 'is writing, is running'],
  [/\binto memory the caller has\b/i, "into the caller's memory"],
  [/\bin words that\b/i, 'declared without the types of'],

  [/\bwhat (it|he|she|one|this|everything) is told\b/i, 'the argument, the request'],
  [/\bthe (last|first) sitting\b/i, 'the last run'],
  [/\bgives the engine its memory back\b/i, 'frees its memory in the engine'],
  [/\bone's own\b/i, 'custom, local'],
  [/\bas (it|they) (was|were) before\b/i, 'unchanged'],
  [/\bmakes? anew\b/i, 'creates again, encodes again'],

  [/\bwith the very (bytes|file)\b/i, 'byte-identical'],
  [/\d %(?=[`'"<|,.;)]|$)/, '31%'],
];

/** Texts by others, generated files, and data. */
const EXEMPT =
  /^(LICENSE|NOTICE|CHANGELOG\.md)|package-lock\.json$|Cargo\.lock$|^tests\/(fixtures|golden)\/|^fuzz\/(corpus|findings)\/|\.(png|svg|bin|gguf|dat|ico|woff2?|safetensors|model|tgz)$/;

/** What is installed or built. */
const NOT_OURS = /^(\.git|\.cache|node_modules|target|dist)$/;

/** The files below a folder, by their paths from the root. */
function filesBelow(folder: string): string[] {
  return readdirSync(`${root}/${folder}`, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    if (NOT_OURS.test(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(`${path}/`) : [path];
  });
}

test('no file contains a phrase of the list', () => {
  const files = filesBelow('');
  expect(files.length).toBeGreaterThan(500);
  const found = files
    .filter((file) => file !== self && !EXEMPT.test(file))
    .flatMap((file) => {
      const lines = readFileSync(`${root}/${file}`, 'utf8').split('\n');
      return lines.flatMap((line, index) =>
        PHRASES.filter(([phrase]) => phrase.test(line)).map(
          ([, say]) => `${file}:${index + 1}: ${line.trim()} -> ${say}`,
        ),
      );
    });
  expect(found).toEqual([]);
});
