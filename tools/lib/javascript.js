/** Builds the JavaScript part: TypeScript to dist/, the engine next to it, and as one file each the workers and `bundle.js`. */

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENGINE, OUTPUTS } from './engine.js';
import { at, npmBin, run } from './run.js';
import { say } from './say.js';
import { digest, once } from './stamp.js';

const INPUTS = [
  'js',
  '.cache/engine',
  'tsconfig.json',
  'tsconfig.build.json',
  'package-lock.json',
  'tools/lib/javascript.js',
];

/** Compiles the TypeScript, unless it is up to date. */
export async function buildJavaScript() {
  return once('javascript', digest(INPUTS), ['dist/index.js', 'dist/quantpress.wasm'], async () => {
    say('compiling the TypeScript');
    rmSync(at('dist'), { recursive: true, force: true });
    await run(npmBin('tsc'), ['--project', 'tsconfig.build.json']);
    for (const name of OUTPUTS) cpSync(join(ENGINE, name), at('dist', name));
    nameLibraries();
    await bundleWorkers();
    await carryWorker();
    await bundleEntry();
  });
}

/** Adds a reference to types that use `Symbol.dispose`, because projects without that library could not read them. */
function nameLibraries() {
  for (const name of readdirSync(at('dist'), { encoding: 'utf8', recursive: true }).filter((name) =>
    name.endsWith('.d.ts'),
  )) {
    const text = readFileSync(at('dist', name), 'utf8');
    if (!/Symbol\.(async)?dispose/i.test(text)) continue;
    writeFileSync(at('dist', name), `/// <reference lib="esnext.disposable" />\n${text}`);
  }
}

/**
 * A worker is one file, because bundlers rewrite the URL of a worker but not its imports. All js/*worker.ts are workers
 * (worker.ts, node-worker.ts).
 */
async function bundleWorkers() {
  const names = readdirSync(at('js')).filter((name) => name.endsWith('worker.ts'));
  for (const name of names.map((name) => name.replace(/ts$/, 'js'))) {
    if (!existsSync(at('dist', name))) continue;
    const args = [join('dist', name), '--bundle', '--format=esm', '--target=es2022', '--platform=neutral'];
    await run(npmBin('esbuild'), [
      ...args,
      '--external:node:*',
      `--outfile=${join('dist', name)}`,
      '--allow-overwrite',
      '--log-level=warning',
    ]);
  }
}

/** The worker as text, for the entry that embeds everything. */
async function carryWorker() {
  const { transform } = await import('esbuild');
  const { code } = await transform(readFileSync(at('dist', 'worker.js'), 'utf8'), { minify: true });
  writeFileSync(at('dist', 'inline-worker.js'), `export const worker = ${JSON.stringify(code)};\n`);
}

/** The entry for CDNs as one file, so that a page makes two requests: this file and the engine. */
async function bundleEntry() {
  const { build } = await import('esbuild');
  await build({
    entryPoints: [at('dist', 'bundle.js')],
    outfile: at('dist', 'bundle.js'),
    allowOverwrite: true,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'warning',
  });
}
