/** A web server that answers range requests, and misbehaves as told. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** Answers one request in its own way; returns `false` for the default response. */
export type Misbehaviour = (request: IncomingMessage, response: ServerResponse, count: number) => boolean;

/** Serves `bytes` for one test and returns the URL. `count` is the number of previous requests. */
export async function serve(bytes: Uint8Array, misbehave: Misbehaviour = () => false): Promise<string> {
  let count = 0;
  const server = createServer((request, response) => {
    if (!misbehave(request, response, count++)) answer(bytes, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
}

/** The default response, with headers changed by a test. */
export function answer(
  bytes: Uint8Array,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Record<string, string> = {},
): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const body = bytes.subarray(Number(first), Number(last) + 1);
  const range = `bytes ${first}-${Number(first) + body.length - 1}/${bytes.length}`;
  response.writeHead(206, { 'content-range': range, etag: '"1"', ...headers });
  response.end(body);
}
