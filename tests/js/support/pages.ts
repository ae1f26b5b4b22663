/** The code on a page of documentation, and its expected output. */

import { readFileSync } from 'node:fs';

/** A fenced block. */
export interface Block {
  language: string;
  code: string;
  /** Its line, for messages. */
  line: number;
  /** The `text` block after it: what it prints. */
  prints: string | undefined;
}

/** The blocks of a page, without those that are the output of another. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(page, 'utf8');
  const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(
    ([whole, language = '', code = ''], index, all) => {
      const at = all[index]?.index ?? 0;
      const next = all[index + 1];
      const follows = next?.[1] === 'text' && text.slice(at + whole.length, next.index).trim() === '';
      const line = text.slice(0, at).split('\n').length;
      return { language, code, line, prints: follows ? next[2] : undefined };
    },
  );
  return blocks.filter(({ language }) => language !== 'text');
}
