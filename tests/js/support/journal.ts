/** Parses journals of conversions, from their description in `src/job/journal.rs`. */

import { crc32 } from 'node:zlib';

/** The first line of a journal, as another version of the engine would have written it. */
export function journalOfEngine(journal: string, engine: string): string {
  const [first = ''] = journal.trim().split('\n');
  const job = JSON.parse(first.slice(first.indexOf('{'))) as object;
  const json = JSON.stringify({ ...job, engine });
  return `\n${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}
