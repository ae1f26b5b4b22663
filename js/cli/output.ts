/** Long output. */

/** Writes texts to standard output as fast as its reader takes them, so that they do not pile up in memory. */
export async function writeOut(texts: Iterable<string>, signal?: AbortSignal): Promise<void> {
  for (const piece of inPieces(texts)) {
    // The error has been reported, or the reader has closed the pipe.
    if (process.stdout.errored) return;
    if (!process.stdout.write(piece)) await ready();
    signal?.throwIfAborted();
  }
}

/** Waits until standard output accepts more or is closed. */
function ready(): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of READY) process.stdout.off(event, done);
      resolve();
    };
    for (const event of READY) process.stdout.on(event, done);
  });
}

const READY = ['drain', 'error', 'close'] as const;

/** Characters that are written at once. */
const PIECE = 1 << 16;

function* inPieces(texts: Iterable<string>): Generator<string> {
  let piece = '';
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}
