import { QuantpressError } from 'quantpress';

/** What a person can do about an error, where its own words do not say so. */
const ADVICE: Partial<Record<string, string>> = {
  MAGIC: 'Quantpress reads GGUF and safetensors files.',
  TRUNCATED: 'It may not have been downloaded to its end.',
  NO_SPACE: 'Free some space, or save to another disk.',
  DENIED: 'Choose the file again, so that the page may read it.',
  CHANGED: 'Open it again, so that one state of it is read.',
};

/** An error as a sentence a person can act on. */
export function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const text = message.charAt(0).toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? '' : '.');
  const advice = error instanceof QuantpressError ? ADVICE[error.code] : undefined;
  return advice ? `${text} ${advice}` : text;
}
