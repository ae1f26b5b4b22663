/** Trying a result: loads both models, continues a prompt, and compares predictions. */

import { effect, signal } from '@preact/signals';
import { result } from '../state/job.ts';
import { opened } from '../state/model.ts';
import { sentence } from '../ui/sentence.ts';
import { originalFiles } from './original.ts';
import { agreement, continuation, type Agreement } from './compare.ts';
import { Runner } from './runner.ts';
import sample from './sample.txt?raw';

export type Trying = 'idle' | 'converting' | 'loading' | 'writing' | 'reading';

export const trying = signal<Trying>('idle');
export const trouble = signal<string | undefined>(undefined);
export const prompt = signal('The whale turned toward the boat, and');
/** The completion of each: the original, the result. */
export const texts = signal<readonly [string, string]>(['', '']);
export const agreed = signal<Agreement | undefined>(undefined);

/** Sets the prompt. */
export function setPrompt(text: string): void {
  prompt.value = text;
}

const WORDS = 48;
const SCORED = 512;

let stop = new AbortController();

/** Loads both models, completes the prompt with both, and reads the sample text with both. */
export async function tryIt(): Promise<void> {
  const [current, made] = [opened.value, result.value];
  if (!current || !made || trying.value !== 'idle') return;
  stop = new AbortController();
  const { signal } = stop;
  trouble.value = undefined;
  texts.value = ['', ''];
  agreed.value = undefined;
  trying.value = current.files ? 'loading' : 'converting';
  const runners: Runner[] = [];
  try {
    const originals = await originalFiles(current, signal);
    trying.value = 'loading';
    for (const files of [originals, [made.file]]) {
      signal.throwIfAborted();
      runners.push(await Runner.load(files));
    }
    signal.throwIfAborted();
    const [original, shrunk] = runners as [Runner, Runner];
    trying.value = 'writing';
    await Promise.all([original, shrunk].map((runner, side) => write(runner, side, signal)));
    trying.value = 'reading';
    for await (const now of agreement(original, shrunk, sample, SCORED, signal)) agreed.value = now;
  } catch (error) {
    if (!signal.aborted) trouble.value = sentence(error);
  } finally {
    await Promise.all(runners.map((runner) => runner.close()));
    trying.value = 'idle';
  }
}

async function write(runner: Runner, side: number, signal: AbortSignal): Promise<void> {
  for await (const text of continuation(runner, prompt.value, WORDS, signal)) {
    if (signal.aborted) return;
    const [a, b] = texts.value;
    texts.value = side === 0 ? [text, b] : [a, text];
  }
}

/** Stops. The outputs so far stay. */
export function stopTrying(): void {
  stop.abort();
}

// The outputs belong to the two models that were run: they are cleared with another original or result.
effect(() => {
  void [opened.value, result.value];
  stop.abort();
  trouble.value = undefined;
  texts.value = ['', ''];
  agreed.value = undefined;
});
