/** Names that are URLs: invalid ones are rejected before any request, and secrets in them are never shown. */

import { QuantpressError } from '../engine/error.js';
import { builtin } from '../engine/platform.js';

/**
 * The schemes that can be fetched in parts. `fetch` reports others like an unreachable server, and retries would not
 * help.
 */
const FETCHED: readonly string[] = ['http:', 'https:', 'blob:'];

/** The placeholder for a secret. */
const HIDDEN = '***';

/** A URL scheme. A single letter is a Windows drive. */
const SCHEME = /^([a-z][a-z0-9+.-]+):/i;

/** The path of a file name or `file:` URL. */
export function pathOf(name: string): string {
  if (!/^file:/i.test(name)) return name;
  return understood(name, () => builtin('node:url')?.fileURLToPath(name) ?? name);
}

/** A path that {@link addressOf} does not mistake for a URL, whatever the name of the file. */
export function plainPath(path: string): string {
  return SCHEME.test(path) ? `./${path}` : path;
}

/**
 * The URL to fetch for a name, or `undefined` if the name is a path. In a page a name is relative to the page; elsewhere it
 * is a path unless it has a scheme.
 */
export function addressOf(name: string): string | undefined {
  const scheme = SCHEME.exec(name)?.[1]?.toLowerCase();
  if (scheme === 'file') return undefined;
  if (FETCHED.includes(`${scheme}:`)) return name;
  if (/^[^:/\\]+:\/\//.test(name)) throw unusable(name, `only ${FETCHED.join(' ')} URLs can be read`);
  const page = globalThis.document?.baseURI;
  return page === undefined ? undefined : understood(name, () => new URL(name, page).href);
}

/** The URL of another file in the folder of `address`. The query is kept, because it may grant access. */
export function siblingAddress(address: string, file: string): string {
  return understood(address, () => {
    const url = new URL(address);
    // Encoded, `?`, `#` and `%` are part of the name and cannot alter the request.
    const encoded = file.split('/').map(encodeURIComponent).join('/');
    url.pathname = url.pathname.replace(/[^/]*$/, '') + encoded;
    url.hash = '';
    return url.href;
  });
}

/** `name` for messages: a URL without user, password, fragment and query values. */
export function shown(name: string): string {
  const scheme = /^(https?:|[a-z][a-z0-9+.-]+:\/\/)/i.exec(name)?.[1];
  if (scheme === undefined) return name;
  if (!isUrl(name)) return name.includes('@') ? scheme + HIDDEN : name;
  if (/^file:/i.test(scheme)) return name;
  const [, before = '', query] = /^([^?#]*)(?:\?([^#]*))?/s.exec(name) ?? [];
  const place = before.replace(/^([^:]+:[/\\]*)[^/\\]*@/, `$1${HIDDEN}@`);
  if (query === undefined) return place;
  const hidden = query.split('&').map((pair) => (pair.includes('=') ? pair.replace(/=.*$/s, `=${HIDDEN}`) : HIDDEN));
  return `${place}?${hidden.join('&')}`;
}

/** Rejects what `fetch` would always reject: an invalid URL, another scheme, a password, invalid headers. */
export function checkFetched(url: string, headers: Record<string, string>): void {
  const { protocol, username, password } = understood(url, () => new URL(url));
  if (!FETCHED.includes(protocol)) {
    throw unusable(url, `only ${FETCHED.join(' ')} URLs can be read`);
  }
  if (username !== '' || password !== '') {
    throw unusable(url, 'it contains a user name or password. Pass an Authorization header in options.headers instead');
  }
  // The error of `Headers` quotes the value, which may be a secret.
  for (const [name, value] of Object.entries(headers)) {
    if (canSend(name, value)) continue;
    throw unusable(url, `the header ${JSON.stringify(name)} has an invalid name or value`);
  }
}

function canSend(name: string, value: string): boolean {
  try {
    return new Headers([[name, value]]).has(name);
  } catch {
    return false;
  }
}

function isUrl(name: string): boolean {
  try {
    return new URL(name) !== undefined;
  } catch {
    return false;
  }
}

/** The cause is dropped: its text and properties contain the whole URL. */
function understood<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const known = cause instanceof Error && 'code' in cause && cause.code !== 'ERR_INVALID_URL';
    throw unusable(name, known ? cause.message : 'it is not a valid URL');
  }
}

function unusable(url: string, reason: string): QuantpressError {
  const name = shown(url);
  return new QuantpressError('ARGUMENT', `'${name}' cannot be requested: ${reason}`, { url: name });
}
