/** Runs one benchmark in a worker and reports each step. Terminating the worker ends it. */

import { init } from 'quantpress';
import { sentence } from '../ui/sentence.ts';
import { type Kind, type Orders, type Rows, type Step, STEPS } from './steps.ts';

/** The request of the page. */
export interface Order<K extends Kind = Kind> {
  readonly kind: K;
  readonly order: Orders[K];
}
/** The answers to the page. */
export type Told<K extends Kind = Kind> =
  | { readonly step: Step<Rows[K]> }
  | { readonly end: true }
  | { readonly failed: string };

const tell = (told: Told): void => postMessage(told);

addEventListener('message', async ({ data }: MessageEvent<Order>) => {
  try {
    await init();
    const steps = STEPS[data.kind] as (order: Orders[Kind]) => AsyncIterable<Step<Rows[Kind]>>;
    for await (const step of steps(data.order)) tell({ step });
    tell({ end: true });
  } catch (error) {
    tell({ failed: sentence(error) });
  }
});
