import workerUrl from '../../../dist/worker.js?worker&url';

/**
 * Starts workers from a `blob:` URL of the script's text. A worker loaded from a server has the policy that the server
 * sends with it, perhaps none; one from a `blob:` inherits the policy of this page, so the page's guarantees cover its
 * workers.
 */
export const worker = fromBlob(workerUrl);

/** The `blob:` URL of one of our scripts. */
export async function fromBlob(url: string): Promise<string> {
  const response = await fetch(url);
  return URL.createObjectURL(new Blob([await response.blob()], { type: 'text/javascript' }));
}
