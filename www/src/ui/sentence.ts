import { QuantpressError } from 'quantpress';
import { listed } from './visible.ts';

/** Advice for errors whose message does not say what to do. */
const ADVICE: Partial<Record<string, string>> = {
  MAGIC: 'Quantpress reads GGUF and safetensors files.',
  TRUNCATED: 'The download may be incomplete.',
  NO_SPACE: 'Free some space, or save to another disk.',
  DENIED: 'Choose the file again to let the page read it.',
  CHANGED: 'Open it again.',
};

/** Longer messages are truncated. */
const LONGEST = 1000;

/** A message that begins with a file or a path: `model/config.json: ...`. */
const NAME = /^[^\s:]*[./][^\s:]*:/;

/** An error as a sentence with advice. */
export function sentence(error: unknown): string {
  // A message may quote a file, whose names may be hostile.
  const message = listed(error instanceof Error ? error.message : String(error), LONGEST);
  // A message that begins with a file name is not capitalised.
  const first = NAME.test(message) ? message.charAt(0) : message.charAt(0).toUpperCase();
  const text = first + message.slice(1) + (/[.!?]$/.test(message) ? '' : '.');
  const advice = error instanceof QuantpressError ? ADVICE[error.code] : undefined;
  return advice ? `${text} ${advice}` : text;
}
