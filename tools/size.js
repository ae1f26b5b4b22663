#!/usr/bin/env node
/**
 * Compares the size of the package with tests/package/size.json; `npm run size` updates that file.
 *
 * The list of files is compared exactly. Sizes may differ by one per cent; those of the modules by more with a different
 * compiler.
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { MODULES } from './lib/engine.js';
import { at, output } from './lib/run.js';
import { wasmToolchain } from './lib/rust.js';
import { say, Stop, tool } from './lib/say.js';

const FILE = at('tests', 'package', 'size.json');

/**
 * @typedef {object} Measures
 * @property {string} compiler the rustc version, because another one gives another engine
 * @property {Record<string, number>} sizes in bytes
 * @property {string[]} files the packed files
 */

/** @returns {Promise<Measures>} */
async function measure() {
  const rustc = (await wasmToolchain()) === 'path' ? 'rustc' : '/usr/bin/rustc';
  const listing = output('npm', ['pack', '--ignore-scripts', '--dry-run', '--json']);
  const [{ files }] = JSON.parse(listing ?? '[{}]');
  return {
    compiler: output(rustc, ['--version']) ?? '',
    sizes: {
      ...Object.fromEntries(MODULES.flatMap(({ name, file }) => sizesOf(name, readFileSync(at('dist', file))))),
      "JavaScript of 'quantpress', minified, gzip": gzipSync(await bundle('browser.js')).length,
      "JavaScript of 'quantpress/worker', minified, gzip": gzipSync(await bundle('worker.js')).length,
    },
    files: files.map((/** @type {{ path: string }} */ { path }) => path).sort(),
  };
}

/** @param {string} name @param {Uint8Array} wasm */
const sizesOf = (name, wasm) => [
  [`module ${name}, raw`, wasm.length],
  [`module ${name}, brotli`, brotliCompressSync(wasm).length],
];

/** @param {string} entry */
async function bundle(entry) {
  const { outputFiles } = await build({
    entryPoints: [at('dist', entry)],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    external: ['node:*'],
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/** @param {Measures} now */
function compare(now) {
  if (!existsSync(FILE)) throw new Stop("tests/package/size.json is missing: 'npm run size' writes it");
  /** @type {Measures} */
  const known = JSON.parse(readFileSync(FILE, 'utf8'));
  const findings = [
    ...known.files.filter((path) => !now.files.includes(path)).map((path) => `${path} is no longer packed`),
    ...now.files.filter((path) => !known.files.includes(path)).map((path) => `${path} is packed now`),
  ];
  for (const [name, size] of Object.entries(now.sizes)) {
    const before = known.sizes[name] ?? 0;
    const tolerance = name.startsWith('module') && known.compiler !== now.compiler ? 0.1 : 0.01;
    if (Math.abs(size - before) > before * tolerance) findings.push(`${name}: changed from ${before} to ${size} bytes`);
  }
  if (findings.length > 0) {
    throw new Stop(
      `the package has changed:\n  ${findings.join('\n  ')}\nIf that is intended, run 'npm run size' and commit the result`,
    );
  }
}

await tool(async () => {
  const now = await measure();
  for (const [name, size] of Object.entries(now.sizes)) say(`${name}: ${size} bytes`);
  if (process.argv.includes('--write')) writeFileSync(FILE, `${JSON.stringify(now, null, 2)}\n`);
  else compare(now);
});
