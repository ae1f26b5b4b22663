/** Names that are addresses: what cannot be one is refused before anything is asked. */

import { QuantpressError } from './error.js';
import { builtin } from './runtime.js';

/** What can be fetched in parts. Most else `fetch` refuses as it does a server out of reach, and is tried again in vain. */
const FETCHED: readonly string[] = ['http:', 'https:', 'blob:'];

/** The path that a name is: itself, or what a `file:` address points to. */
export function pathOf(name: string): string {
  if (!/^file:/i.test(name)) return name;
  return understood(name, () => builtin('node:url')?.fileURLToPath(name) ?? name);
}

/** The whole address that a name is in a page. */
export function addressIn(page: string, name: string): string {
  return understood(name, () => new URL(name, page).href);
}

/** Refuses what `fetch` would throw for each time: no address, one of another kind or with a password, impossible headers. */
export function checkFetched(url: string, headers: Record<string, string>): void {
  const { protocol } = understood(url, () => new URL(new Request(url, { headers }).url));
  if (FETCHED.includes(protocol)) return;
  throw new QuantpressError('ARGUMENT', `'${url}' is read by none of ${FETCHED.join(' ')}`, { url });
}

function understood<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new QuantpressError('ARGUMENT', `'${name}' cannot be asked for: ${reason}`, { url: name }, { cause });
  }
}
