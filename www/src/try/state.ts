/** Trying a result: both models loaded, a text gone on with, another one foreseen. */

import { signal } from '@preact/signals';
import { result } from '../state/job.ts';
import { opened } from '../state/model.ts';
import { sentence } from '../ui/sentence.ts';
import { agreement, continuation, type Agreement } from './compare.ts';
import { Runner } from './runner.ts';
import sample from './sample.txt?raw';

export type Trying = 'idle' | 'loading' | 'writing' | 'reading';

export const trying = signal<Trying>('idle');
export const trouble = signal<string | undefined>(undefined);
export const prompt = signal('The whale turned toward the boat, and');
/** What each goes on with: the original, the result. */
export const texts = signal<readonly [string, string]>(['', '']);
export const agreed = signal<Agreement | undefined>(undefined);

const WORDS = 48;
const SCORED = 512;

let stop = new AbortController();

/** Loads both, lets both go on with the prompt, and reads the sample text with both. */
export async function tryIt(): Promise<void> {
  const [current, made] = [opened.value, result.value];
  if (!current?.files || !made || trying.value !== 'idle') return;
  stop = new AbortController();
  trouble.value = undefined;
  texts.value = ['', ''];
  agreed.value = undefined;
  trying.value = 'loading';
  const runners: Runner[] = [];
  try {
    for (const files of [current.files, [made.file]]) runners.push(await Runner.load(files));
    const [original, shrunk] = runners as [Runner, Runner];
    trying.value = 'writing';
    await Promise.all([original, shrunk].map((runner, side) => write(runner, side)));
    trying.value = 'reading';
    for await (const now of agreement(original, shrunk, sample, SCORED, stop.signal)) agreed.value = now;
  } catch (error) {
    if (!stop.signal.aborted) trouble.value = sentence(error);
  } finally {
    await Promise.all(runners.map((runner) => runner.close()));
    trying.value = 'idle';
  }
}

async function write(runner: Runner, side: number): Promise<void> {
  for await (const text of continuation(runner, prompt.value, WORDS, stop.signal)) {
    const [a, b] = texts.value;
    texts.value = side === 0 ? [text, b] : [a, text];
  }
}

/** Ends it. What has come so far stays. */
export function stopTrying(): void {
  stop.abort();
}
