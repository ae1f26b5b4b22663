/** A web server on loopback that misbehaves in all known ways, one URL for each. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { answer } from './range-server.js';

/** The bytes of correct responses. */
export const BYTES = Uint8Array.from({ length: 200_003 }, (_, index) => (index * 37) ^ (index >> 7));

/** A behaviour. */
export interface Behaviour {
  /** `bytes` if the reader must get all of them, otherwise the expected error code. */
  expected: 'bytes' | 'empty' | 'IO' | 'CHANGED' | 'DENIED' | 'NOT_FOUND';
  /** What the error must mention. */
  mentions?: RegExp;
  /** Sends nothing for too long: read with a short time limit. */
  silent?: true;
  /** Answers one request; `count` is how many there were before. */
  serve(request: IncomingMessage, response: ServerResponse, count: number): void;
}

const range = (request: IncomingMessage): [number, number] => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  return [Number(first), Number(last)];
};

const total = BYTES.length;

/** Correct headers. */
const right = (request: IncomingMessage): Record<string, string> => {
  const [first, last] = range(request);
  return { 'content-range': `bytes ${first}-${last}/${total}`, etag: '"1"' };
};

/** Opens properly, then misbehaves. */
const later =
  (serve: Behaviour['serve']): Behaviour['serve'] =>
  (request, response, count) =>
    count === 0 ? answer(BYTES, request, response) : serve(request, response, count - 1);

/** Sends for ever, as fast as the reader reads. */
function endless(response: ServerResponse, piece: Uint8Array): void {
  const more = () => {
    while (!response.destroyed && response.write(piece));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

/** Sends this instead of HTTP. */
function raw(request: IncomingMessage, ...pieces: (string | Uint8Array)[]): void {
  for (const piece of pieces) request.socket.write(piece);
}

const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Behaviour['serve'] =>
  (_, response) =>
    void response.writeHead(code, headers).end(body);

/** Busy once, then correct. */
const busyOnce = (code: number, headers: Record<string, string>): Behaviour => ({
  expected: 'bytes',
  serve: later((request, response, count) =>
    count === 0 ? status(code, headers)(request, response, count) : answer(BYTES, request, response),
  ),
});

/** Answers with these headers changed. */
const headed = (headers: Record<string, string>): Behaviour['serve'] =>
  later((request, response) => answer(BYTES, request, response, headers));

const withoutEtag = (bytes: Uint8Array, request: IncomingMessage, response: ServerResponse, headers = {}) => {
  const [first, last] = range(request);
  response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${total}`, ...headers });
  response.end(bytes.subarray(first, last + 1));
};

/** All behaviours. `elsewhere` is the URL of another origin, which records its requests. */
export const behaviours = (elsewhere: () => string): Record<string, Behaviour> => ({
  'an endless body behind a right Content-Range': {
    expected: 'bytes',
    serve: (request, response) => {
      const [first, last] = range(request);
      response.writeHead(206, right(request)).write(BYTES.subarray(first, last + 1));
      endless(response, new Uint8Array(1 << 16));
    },
  },
  'a body that says it has 9 TB': {
    expected: 'IO',
    mentions: /9000000000000/,
    serve: later((request, response) => {
      response.writeHead(206, { ...right(request), 'content-length': '9000000000000' });
      endless(response, new Uint8Array(1 << 16));
    }),
  },
  'a gzip bomb': {
    expected: 'IO',
    mentions: /gzip/,
    serve: later((request, response) => {
      response.writeHead(206, { ...right(request), 'content-encoding': 'gzip' }).end(gzipSync(new Uint8Array(1 << 26)));
    }),
  },
  'an encoding nobody asked for': { expected: 'IO', mentions: /br/, serve: headed({ 'content-encoding': 'br' }) },
  'one byte at a time': {
    expected: 'IO',
    mentions: /idleTimeout/,
    silent: true,
    serve: later((request, response) => {
      response.writeHead(206, right(request));
      const drip = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(drip));
    }),
  },
  'silence before the headers': { expected: 'IO', mentions: /did not answer/, silent: true, serve: later(() => {}) },
  'silence from the beginning': { expected: 'IO', mentions: /did not answer/, silent: true, serve: () => {} },
  'silence after the headers': {
    expected: 'IO',
    mentions: /stopped sending/,
    silent: true,
    serve: later((request, response) => response.writeHead(206, right(request)).flushHeaders()),
  },
  'silence in the middle': {
    expected: 'IO',
    mentions: /stopped sending/,
    silent: true,
    serve: later((request, response) => void response.writeHead(206, right(request)).write(BYTES.subarray(0, 20_000))),
  },
  'interim answers for ever': {
    expected: 'IO',
    silent: true,
    serve: later((request, response) => {
      const drip = setInterval(() => raw(request, 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'), 10);
      response.on('close', () => clearInterval(drip));
    }),
  },
  'another range': {
    expected: 'IO',
    mentions: /bytes 5-14/,
    serve: headed({ 'content-range': `bytes 5-14/${total}` }),
  },
  'no Content-Range': { expected: 'IO', mentions: /Content-Range/, serve: status(206, {}, 'x') },
  'a range of an unknown whole': {
    expected: 'IO',
    mentions: /Content-Range/,
    serve: status(206, { 'content-range': 'bytes 0-0/*' }, 'x'),
  },
  'a size beyond all numbers': {
    expected: 'IO',
    mentions: /Content-Range/,
    serve: status(206, { 'content-range': `bytes 0-0/${'9'.repeat(30)}` }, 'x'),
  },
  'a body that is cut short': {
    expected: 'IO',
    mentions: /sent 9 bytes/,
    serve: later((request, response) => void response.writeHead(206, right(request)).end(BYTES.subarray(0, 9))),
  },
  'a length that is too short': {
    expected: 'IO',
    mentions: /announced 9 bytes/,
    serve: headed({ 'content-length': '9' }),
  },
  'the whole file': { expected: 'IO', mentions: /ignores Range/, serve: status(200, {}, 'whole') },
  'the whole file, once it was changed': { expected: 'CHANGED', serve: later(status(200, { etag: '"2"' }, 'whole')) },
  'a login page': {
    expected: 'IO',
    mentions: /web page/,
    serve: status(200, { 'content-type': 'text/html; charset=utf-8' }, '<html>'),
  },
  'another size': {
    expected: 'CHANGED',
    serve: later((request, response) => answer(BYTES.subarray(1), request, response)),
  },
  'another ETag': { expected: 'CHANGED', serve: headed({ etag: '"2"' }) },
  'another Last-Modified': {
    expected: 'CHANGED',
    serve: (request, response, count) =>
      withoutEtag(BYTES, request, response, { 'last-modified': new Date(count * 86_400_000).toUTCString() }),
  },
  'other bytes, and no ETag': {
    expected: 'CHANGED',
    // The first request and the sample, then one read for each third of the file.
    serve: (request, response, count) =>
      withoutEtag(count < 12 ? BYTES : BYTES.map((byte) => byte ^ 1), request, response),
  },
  'the right bytes, and no ETag': {
    expected: 'bytes',
    serve: (request, response) => withoutEtag(BYTES, request, response),
  },
  'a redirect to itself': {
    expected: 'IO',
    mentions: /redirects/,
    serve: (request, response) => void response.writeHead(302, { location: request.url }).end(),
  },
  'a redirect to a file': {
    expected: 'IO',
    mentions: /redirects/,
    serve: status(302, { location: 'file:///etc/passwd' }),
  },
  'a redirect with a password': {
    expected: 'IO',
    mentions: /redirects/,
    serve: status(302, { location: 'http://u:p@127.0.0.1/' }),
  },
  'a redirect to another origin': {
    expected: 'bytes',
    serve: (_, response) => void response.writeHead(307, { location: elsewhere() }).end(),
  },
  'a redirect to nobody': {
    expected: 'IO',
    mentions: /ECONNREFUSED/,
    serve: status(302, { location: 'http://127.0.0.1:2/?sig=tops3cret' }),
  },
  'a redirect at home': {
    expected: 'bytes',
    serve: (request, response) => {
      if (!request.url?.includes('moved'))
        return void response.writeHead(301, { location: `${request.url}&moved` }).end();
      if (request.headers['x-api-key'] !== 'tops3cret') return void response.writeHead(401).end();
      answer(BYTES, request, response);
    },
  },
  'Retry-After: a year': busyOnce(429, { 'retry-after': '31536000' }),
  'Retry-After: beyond all numbers': busyOnce(429, { 'retry-after': '9'.repeat(400) }),
  'Retry-After: less than nothing': busyOnce(503, { 'retry-after': '-5' }),
  'Retry-After: a date in the future': busyOnce(503, { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }),
  'Retry-After: a date in the past': busyOnce(503, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }),
  'Retry-After: nonsense': busyOnce(503, { 'retry-after': 'soon' }),
  '500, then the file': busyOnce(500, {}),
  '429 for ever': { expected: 'IO', mentions: /429/, serve: status(429) },
  '404': { expected: 'NOT_FOUND', serve: status(404) },
  '403': { expected: 'DENIED', serve: status(403) },
  'a connection that is reset once': {
    expected: 'bytes',
    serve: later((request, response, count) => {
      if (count > 0) return answer(BYTES, request, response);
      response.writeHead(206, { ...right(request), 'content-length': '66667' });
      response.write(BYTES.subarray(0, 9), () => request.socket.resetAndDestroy());
    }),
  },
  'a connection that is always reset': {
    expected: 'IO',
    mentions: /ECONNRESET|closed|terminated/,
    serve: later((request) => void request.socket.resetAndDestroy()),
  },
  'several ranges': {
    expected: 'IO',
    mentions: /several ranges/,
    serve: headed({ 'content-type': 'multipart/byteranges; boundary=x' }),
  },
  'no such range': {
    expected: 'IO',
    mentions: /416/,
    serve: later(status(416, { 'content-range': `bytes */${total}` })),
  },
  'an empty file': { expected: 'empty', serve: status(416, { 'content-range': 'bytes */0' }) },
  'a bomb of headers': {
    expected: 'IO',
    mentions: /headers/,
    serve: later((request) =>
      raw(request, 'HTTP/1.1 206 Partial Content\r\n', `x: ${'y'.repeat(8_000_000)}\r\n`, '\r\n'),
    ),
  },
  'a bomb of small headers': {
    expected: 'IO',
    mentions: /headers/,
    serve: later((request) => raw(request, 'HTTP/1.1 206 Partial Content\r\n', 'x: y\r\n'.repeat(1_000_000), '\r\n')),
  },
  'what is not HTTP': { expected: 'IO', serve: later((request) => raw(request, 'SSH-2.0-OpenSSH_9.6\r\n')) },
  'pieces without a length': {
    expected: 'bytes',
    serve: (request, response) => {
      const [first, last] = range(request);
      response.writeHead(206, right(request));
      for (let at = first; at <= last; at += 30_000)
        response.write(BYTES.subarray(at, Math.min(at + 30_000, last + 1)));
      response.end();
    },
  },
});

/** The requests to the other origin. */
export interface Elsewhere {
  seen: IncomingMessage['headers'][];
}

/** Starts the server and the other origin; returns the URL of each behaviour, and a function to stop. */
export async function startHostileServer() {
  const seen: IncomingMessage['headers'][] = [];
  const other = createServer((request, response) => {
    seen.push(request.headers);
    answer(BYTES, request, response);
  });
  const all = behaviours(() => `${addressOf(other)}/model.gguf?signature=tops3cret`);
  const list = Object.values(all);
  const counts = new Map<number, number>();
  const server = createServer((request, response) => {
    const index = Number(/^\/(\d+)/.exec(request.url ?? '')?.[1]);
    response.on('error', () => {});
    const count = counts.get(index) ?? 0;
    counts.set(index, count + 1);
    list[index]?.serve(request, response, count);
  });
  server.on('connection', (socket) => void socket.on('error', () => {}));
  for (const each of [server, other]) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
  const urls = Object.keys(all).map((name, index) => ({
    name,
    url: `${addressOf(server)}/${index}?token=tops3cret`,
    silent: all[name]?.silent === true,
  }));
  const stop = () => {
    for (const each of [server, other]) {
      each.closeAllConnections();
      each.close();
    }
  };
  return { urls, seen, stop };
}

const addressOf = (server: { address(): unknown }): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
