import { QuantpressError, type ErrorCode, type ErrorDetails } from 'quantpress';

/** The rejection of a promise, as an object to compare. */
export async function failure(
  promise: Promise<unknown>,
): Promise<{ code: ErrorCode; message: string; details: ErrorDetails }> {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof QuantpressError)) throw error;
  return { code: error.code, message: error.message, details: error.details };
}
