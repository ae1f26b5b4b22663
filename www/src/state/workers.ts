import workerUrl from '../../../dist/worker.js?worker&url';

/**
 * Where workers are started from: a `blob:` address of the script's text. A worker that comes from a server has the policy
 * that the server sends with it, which may be none; one that comes from a `blob:` has the policy of this page. So what the
 * page promises, its workers keep.
 */
export const worker = fromBlob(workerUrl);

/** The address of a script of ours as a `blob:`. */
export async function fromBlob(url: string): Promise<string> {
  const response = await fetch(url);
  return URL.createObjectURL(new Blob([await response.blob()], { type: 'text/javascript' }));
}
