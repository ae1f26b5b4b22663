/**
 * The files of the project for tests that run in a page: the part of `node:fs` that they use, through {@link
 * serveFiles}.
 */

/** A file: text, or bytes. */
export function readFileSync(path: string, encoding: 'utf8'): string;
export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
export function readFileSync(path: string, encoding?: 'utf8'): string | Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(get(path), (character) => character.charCodeAt(0) & 0xff);
  return encoding ? new TextDecoder().decode(bytes) : bytes;
}

/** The names in a folder. */
export function readdirSync(path: string): string[] {
  return JSON.parse(get(`${path.replace(/\/$/, '')}/`));
}

/** Synchronous, as in Node; each character is a byte. */
function get(path: string): string {
  const request = new XMLHttpRequest();
  request.open('GET', `/project-files/${path.replace(/^\//, '')}`, false);
  request.overrideMimeType('text/plain; charset=x-user-defined');
  request.send();
  if (request.status !== 200) throw new Error(`${path}: status ${request.status}`);
  return request.responseText;
}
