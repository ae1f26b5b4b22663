import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { offline } from './build/offline.ts';

const dist = (file: string): string => fileURLToPath(new URL(`../dist/${file}`, import.meta.url));

/**
 * Writes url.html next to index.html: the same page with a policy that allows reading from other origins; see
 * src/open/reach.ts.
 */
function pageForAddresses(): Plugin {
  const replaced = (html: string, from: string, to: string): string => {
    if (html.split(from).length !== 2) throw new Error(`index.html has to have ${from} once`);
    return html.replace(from, to);
  };
  return {
    name: 'page-for-addresses',
    enforce: 'post',
    generateBundle(_, bundle) {
      const index = bundle['index.html'];
      if (index?.type !== 'asset') throw new Error('there is no index.html');
      const open = replaced(String(index.source), "connect-src 'self' blob:", "connect-src 'self' blob: https: http:");
      this.emitFile({
        type: 'asset',
        fileName: 'url.html',
        source: replaced(open, 'data-reach="self"', 'data-reach="network"'),
      });
    },
  };
}

/** Inlines the icon: browsers request it without the service worker, which fails without a network. */
function iconInPage(): Plugin {
  const LINK = 'href="./icon.svg"';
  return {
    name: 'icon-in-page',
    transformIndexHtml: {
      order: 'pre',
      async handler(html) {
        if (!html.includes(LINK)) throw new Error(`index.html has to have ${LINK}`);
        const drawing = await readFile(new URL('public/icon.svg', import.meta.url), 'utf8');
        return html.replace(LINK, `href="data:image/svg+xml,${encodeURIComponent(drawing.trim())}"`);
      },
    },
  };
}

export default defineConfig({
  // Relative URLs, so that the site works in any folder of any static host.
  base: './',
  // The playground uses the package as its users do, by name.
  resolve: { alias: [{ find: /^quantpress$/, replacement: dist('browser.js') }] },
  plugins: [iconInPage(), pageForAddresses(), offline()],
  server: { fs: { allow: ['..'] } },
  worker: { format: 'es' },
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: true },
});
