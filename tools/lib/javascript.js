/** The JavaScript half: TypeScript to dist/, the engine beside it, and the worker as one file. */

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

/** Compiles it, unless it is compiled. */
export async function buildJavaScript() {
  return once('javascript', digest(INPUTS), ['dist/index.js', 'dist/quantpress.wasm'], async () => {
    say('compiling the TypeScript');
    rmSync(at('dist'), { recursive: true, force: true });
    await run(npmBin('tsc'), ['--project', 'tsconfig.build.json']);
    for (const name of OUTPUTS) cpSync(join(ENGINE, name), at('dist', name));
    nameLibraries();
    await bundleWorkers();
    await carryWorker();
  });
}

/** Types that use `Symbol.dispose` say where it is declared: projects that do not have that library could not read them. */
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
 * A worker is one file: bundlers rewrite the address of a worker, not what it imports. Every js/*worker.ts is one
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

/** The worker as text, for the entry that carries all in itself. */
async function carryWorker() {
  const { transform } = await import('esbuild');
  const { code } = await transform(readFileSync(at('dist', 'worker.js'), 'utf8'), { minify: true });
  writeFileSync(at('dist', 'inline-worker.js'), `export const worker = ${JSON.stringify(code)};\n`);
}
