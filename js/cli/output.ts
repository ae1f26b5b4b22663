/** Long output. */

/** Writes texts to standard output as fast as they are read there: what is not taken yet would pile up. */
export async function writeOut(texts: Iterable<string>, signal?: AbortSignal): Promise<void> {
  for (const piece of inPieces(texts)) {
    // It has been reported, or closed by a reader that has enough.
    if (process.stdout.errored) return;
    if (!process.stdout.write(piece)) await ready();
    signal?.throwIfAborted();
  }
}

/** Waits until standard output takes more, or never will. */
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
