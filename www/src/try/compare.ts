/** Two models on the same text: how well each predicts it, and how much they differ. */

import { CONTEXT, type Runner } from './runner.ts';

/** Figures over the tokens that were scored. */
export interface Agreement {
  readonly scored: number;
  readonly all: number;
  /** `exp(mean of -ln p)` of the actual tokens. */
  readonly perplexity: readonly [original: number, result: number];
  /** The mean of `sum p ln (p / q)` over the vocabulary, p the original's and q the result's. */
  readonly divergence: number;
  /** Fraction of positions at which both have the same most likely token. */
  readonly sameTop: number;
}

/**
 * As in llama-perplexity: in chunks of the context, of which only the second half, which has enough context, is scored.
 */
const FIRST_SCORED = CONTEXT / 2;

/**
 * Reads a text with both models, token by token, and yields the figures after every scored token.
 *
 * @param most - The maximum number of tokens to score.
 */
export async function* agreement(
  original: Runner,
  result: Runner,
  text: string,
  most: number,
  signal: AbortSignal,
): AsyncGenerator<Agreement> {
  const begins = original.begins;
  const tokens = (await original.tokens(text)).slice(begins.length);
  const length = CONTEXT - begins.length;
  const chunks = Math.max(1, Math.min(Math.floor(tokens.length / length), Math.ceil(most / (CONTEXT - FIRST_SCORED))));
  const all = chunks * (Math.min(length, tokens.length) + begins.length - 1 - FIRST_SCORED);
  const sums = { scored: 0, original: 0, result: 0, divergence: 0, same: 0 };
  for (let chunk = 0; chunk < chunks; chunk++) {
    await Promise.all([original.clear(), result.clear()]);
    const read = [...begins, ...tokens.slice(chunk * length, (chunk + 1) * length)];
    const head = read.slice(0, FIRST_SCORED);
    await Promise.all([original.likeliest(head), result.likeliest(head)]);
    for (let at = FIRST_SCORED; at < read.length - 1; at++) {
      signal.throwIfAborted();
      const now = [read[at] as number];
      const [p, q] = await Promise.all([original.read(now), result.read(now)]);
      add(sums, p, q, read[at + 1] as number);
      yield figures(sums, all);
    }
  }
}

interface Sums {
  scored: number;
  original: number;
  result: number;
  divergence: number;
  same: number;
}

/** llama.cpp's probabilities are f32: smaller ones cannot be represented. */
const LEAST = 1e-30;

function add(sums: Sums, p: Map<number, number>, q: Map<number, number>, next: number): void {
  sums.scored += 1;
  sums.original -= Math.log(Math.max(p.get(next) ?? 0, LEAST));
  sums.result -= Math.log(Math.max(q.get(next) ?? 0, LEAST));
  for (const [token, likely] of p) {
    if (likely > 0) sums.divergence += likely * Math.log(likely / Math.max(q.get(token) ?? 0, LEAST));
  }
  // The most likely one is the first.
  if (p.keys().next().value === q.keys().next().value) sums.same += 1;
}

function figures({ scored, original, result, divergence, same }: Sums, all: number): Agreement {
  return {
    scored,
    all,
    perplexity: [Math.exp(original / scored), Math.exp(result / scored)],
    divergence: divergence / scored,
    sameTop: same / scored,
  };
}

/** Continues a text greedily. Yields the text so far. */
export async function* continuation(
  runner: Runner,
  prompt: string,
  most: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  await runner.clear();
  let read = (await runner.tokens(prompt)).slice(-CONTEXT + most);
  let text = '';
  for (let count = 0; count < most; count++) {
    signal.throwIfAborted();
    const next = await runner.likeliest(read);
    if (next === undefined) return;
    text += decoder.decode(await runner.bytes([next]), { stream: true });
    yield text;
    read = [next];
  }
}
