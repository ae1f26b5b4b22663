/**
 * Keeps the page working without a network. www/build/offline.ts fills in the version and the files.
 *
 * Files whose names contain a digest never change, so they are served from the cache. Pages are requested again while
 * there is a network, so that a new version appears at once. A new worker waits until no page of the old version is
 * open, so that an open page can still fetch its other parts.
 */

const VERSION = /** @type {string} */ (__VERSION__);
const FILES = /** @type {string[]} */ (__FILES__);
const CACHE = `quantpress-${VERSION}`;
const SLOW = 4000; // milliseconds until a page that does not arrive is served from the cache

const scope = new URL(self.registration.scope);
const address = (/** @type {string} */ file) => new URL(file, scope).href;
const digested = /-[\w-]{8}\.\w+$/;

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) =>
      Promise.all(
        FILES.map(async (file) => {
          const response = await fetch(address(file), { cache: digested.test(file) ? 'default' : 'reload' });
          if (!response.ok) throw new Error(`${file}: ${response.status}`);
          await cache.put(address(file), response);
        }),
      ),
    ),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => names.filter((name) => name.startsWith('quantpress-') && name !== CACHE))
      .then((old) => Promise.all(old.map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  // Requests to other origins are not handled.
  if (request.method !== 'GET' || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  if (request.headers.has('range')) return;
  if (request.mode === 'navigate') event.respondWith(page(request, url));
  else event.respondWith(part(request, url));
});

/** A page: from the network, otherwise from the cache. */
async function page(/** @type {Request} */ request, /** @type {URL} */ url) {
  const kept = await caches.match(address(url.pathname.endsWith('/url.html') ? 'url.html' : 'index.html'));
  const asked = fetch(request);
  if (!kept) return asked;
  const late = new Promise((resolve) => setTimeout(resolve, SLOW, kept));
  return Promise.race([asked, late]).catch(() => kept);
}

/** Anything else: from the cache, otherwise from the network, and cached if its name contains a digest. */
async function part(/** @type {Request} */ request, /** @type {URL} */ url) {
  url.search = '';
  const kept = await caches.match(url.href);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok && digested.test(url.pathname)) {
    const copy = response.clone();
    const cache = await caches.open(CACHE);
    // A full disk must not make the request fail.
    await cache.put(url.href, copy).catch(() => undefined);
  }
  return response;
}
