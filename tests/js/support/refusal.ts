import { QuantpressError } from 'quantpress';

/** The code of the error that a function throws. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof QuantpressError) return error.code;
    throw error;
  }
  throw new Error('nothing was thrown');
}
