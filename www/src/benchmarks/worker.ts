/** Runs one benchmark beside the page, and tells each step. It is ended by ending the worker. */

import { init } from 'quantpress';
import { sentence } from '../ui/sentence.ts';
import { type Kind, type Orders, type Rows, type Step, STEPS } from './steps.ts';

/** What the page asks. */
export interface Order<K extends Kind = Kind> {
  readonly kind: K;
  readonly order: Orders[K];
}
/** What it is told. */
export type Told<K extends Kind = Kind> =
  | { readonly step: Step<Rows[K]> }
  | { readonly end: true }
  | { readonly failed: string };

const tell = (told: Told): void => postMessage(told);

addEventListener('message', async ({ data }: MessageEvent<Order>) => {
  try {
    await init();
    const steps = STEPS[data.kind] as (order: Orders[Kind]) => Generator<Step<Rows[Kind]>>;
    for (const step of steps(data.order)) tell({ step });
    tell({ end: true });
  } catch (error) {
    tell({ failed: sentence(error) });
  }
});
