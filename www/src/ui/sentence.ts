import { QuantpressError } from 'quantpress';
import { listed } from './visible.ts';

/** What a person can do about an error, where its own words do not say so. */
const ADVICE: Partial<Record<string, string>> = {
  MAGIC: 'Quantpress reads GGUF and safetensors files.',
  TRUNCATED: 'The download may be incomplete.',
  NO_SPACE: 'Free some space, or save to another disk.',
  DENIED: 'Choose the file again to let the page read it.',
  CHANGED: 'Open it again.',
};

/** A message longer than this quotes something that nobody reads to its end. */
const LONGEST = 1000;

/** A message that begins with a file or a path: `model/config.json: ...`. */
const NAME = /^[^\s:]*[./][^\s:]*:/;

/** An error as a sentence a person can act on. */
export function sentence(error: unknown): string {
  // A message may quote a file, whose names are anybody's.
  const message = listed(error instanceof Error ? error.message : String(error), LONGEST);
  // The name of a file stays as it is.
  const first = NAME.test(message) ? message.charAt(0) : message.charAt(0).toUpperCase();
  const text = first + message.slice(1) + (/[.!?]$/.test(message) ? '' : '.');
  const advice = error instanceof QuantpressError ? ADVICE[error.code] : undefined;
  return advice ? `${text} ${advice}` : text;
}
