/**
 * The current view, stored in the URL fragment: `#/blocks`, `#/?preset=Q4_K_M&...`. The fragment is never sent to a
 * server. Links are plain links.
 */

import { computed, signal } from '@preact/signals';

/** A view, and the parameters it was opened with. */
export interface Route {
  readonly view: string;
  readonly query: URLSearchParams;
}

const parse = (hash: string): Route => {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  return { view: path.replace(/\/+$/, ''), query: new URLSearchParams(query) };
};

/** The current route: `view` is empty on the first page. */
export const route = signal(parse(location.hash));
export const view = computed(() => route.value.view);

addEventListener('hashchange', () => {
  route.value = parse(location.hash);
});

/** Changes the parameters of the current view, without an entry in the browser's history. */
export function replaceQuery(query: URLSearchParams): void {
  const text = query.toString();
  const hash = `#/${route.value.view}${text && `?${text}`}`;
  history.replaceState(history.state, '', hash);
  route.value = parse(hash);
}
