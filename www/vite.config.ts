import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const dist = (file: string): string => fileURLToPath(new URL(`../dist/${file}`, import.meta.url));

export default defineConfig({
  // Any folder of any static host will do.
  base: './',
  // The playground uses the package as its users do, by name.
  resolve: { alias: [{ find: /^quantpress$/, replacement: dist('browser.js') }] },
  server: { fs: { allow: ['..'] } },
  worker: { format: 'es' },
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: true },
});
