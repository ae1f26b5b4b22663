/** Builds the engine: Rust to WebAssembly, wasm-bindgen's glue code, and wasm-opt. The results are in .cache/engine. */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wasmBindgen } from './bindgen.js';
import { at, npmBin, output, run } from './run.js';
import { cargoWasm, wasmToolchain } from './rust.js';
import { say, Stop } from './say.js';
import { digest, once } from './stamp.js';

/** @typedef {'release' | 'dev'} Mode */

const INPUTS = ['Cargo.toml', 'Cargo.lock', '.cargo/config.toml', 'src', 'tools/lib/engine.js', 'tools/lib/rust.js'];
/** The files of the engine. */
export const OUTPUTS = [
  'engine/bindings.js',
  'engine/bindings.d.ts',
  'quantpress.wasm',
  'inline-data.js',
  'inline-data.d.ts',
];

/** The folder of the engine and its glue code. */
export const ENGINE = at('.cache', 'engine');

const MODE = join(ENGINE, 'mode');

/** The mode of the last build. @returns {Mode} */
export const lastMode = () => (existsSync(MODE) && readFileSync(MODE, 'utf8') === 'release' ? 'release' : 'dev');

/**
 * Builds the engine, unless it is up to date.
 * @param {Mode} mode `dev` compiles fast, `release` is shipped
 */
export async function buildEngine(mode) {
  const toolchain = await wasmToolchain();
  const compiler = output(toolchain === 'path' ? 'rustc' : '/usr/bin/rustc', ['--version']) ?? '';
  const value = digest(INPUTS, mode, toolchain, compiler, process.env.RUSTFLAGS ?? '');
  const outputs = OUTPUTS.map((name) => `.cache/engine/${name}`);
  return once('engine', value, outputs, async () => {
    say(mode === 'dev' ? 'compiling the engine (dev)' : 'compiling the engine');
    const profile = mode === 'dev' ? 'quick' : 'release';
    // Only this build makes a WebAssembly module: a program that depends on the crate links no shared library.
    const folder = await cargoWasm([
      ...['rustc', '--quiet', '--lib', '--crate-type', 'cdylib', '--features', 'bindings'],
      ...['--profile', profile],
    ]);
    await glue(join(folder, profile, 'quantpress.wasm'));
    if (mode === 'release') await optimise();
    carryInline();
    writeFileSync(MODE, mode);
    say(`the engine has ${statSync(join(ENGINE, 'quantpress.wasm')).size} bytes`);
  });
}

/** @param {string} module */
async function glue(module) {
  const bindgen = await wasmBindgen();
  rmSync(ENGINE, { recursive: true, force: true });
  const folder = join(ENGINE, 'engine');
  mkdirSync(folder, { recursive: true });
  await run(bindgen, [
    module,
    '--target=web',
    `--out-dir=${folder}`,
    '--out-name=bindings',
    // The entries know the location; with a path in the glue code, bundlers of ./slim and ./inline would look for the
    // file.
    '--omit-default-module-path',
    '--remove-name-section',
    '--remove-producers-section',
    '--ts-typed-array-buffers',
  ]);
  renameSync(join(folder, 'bindings_bg.wasm'), join(ENGINE, 'quantpress.wasm'));
  rmSync(join(folder, 'bindings_bg.wasm.d.ts'));
  harden(join(folder, 'bindings.js'));
}

/**
 * Adds two checks that wasm-bindgen's glue code lacks. All data passed to the engine is copied to memory allocated by
 * two exports, which take sizes as any number, while WebAssembly truncates them modulo 2^32. And freeing an object
 * after its instance was replaced would free memory of the new instance.
 * @param {string} file
 */
function harden(file) {
  let text = readFileSync(file, 'utf8');
  /** @type {(pattern: RegExp, by: string) => void} */
  const replace = (pattern, by) => {
    if (!pattern.test(text)) throw new Stop(`the glue of this wasm-bindgen has no ${pattern}`);
    text = text.replace(pattern, by);
  };
  if (!text.includes(STALE)) throw new Stop('the glue of this wasm-bindgen has a different message for stale objects');
  replace(/\bwasm\.__wbindgen_(malloc|realloc)\b/g, '__checked_$1');
  replace(/^ {4}free\(\) \{$/gm, '$&\n        if (__is_stale(this)) return;');
  replace(/^ {4}__destroy_into_raw\(\) \{$/gm, `$&\n        if (__is_stale(this)) throw new Error('${STALE}');`);
  writeFileSync(file, `${text}${CHECKED}`);
}

/** The glue code's own message for objects whose instance was replaced. */
const STALE = 'Invalid stale object from previous Wasm instance';

const CHECKED = `
function __is_stale(object) {
    return object.__wbg_inst !== undefined && object.__wbg_inst !== __wbg_instance_id;
}

/** The largest allocation of Rust on a 32-bit target. */
const MOST_BYTES = 0x7fffffff;

function __checked_size(bytes) {
    if (bytes <= MOST_BYTES) return bytes;
    const message = \`\${bytes} bytes are passed at once; the limit is \${MOST_BYTES}. Use smaller pieces\`;
    throw Object.assign(new Error(message), { code: 'TOO_LARGE', details: { bytes, limit: MOST_BYTES } });
}

function __checked_malloc(bytes, align) {
    return wasm.__wbindgen_malloc(__checked_size(bytes), align);
}

function __checked_realloc(pointer, before, bytes, align) {
    return wasm.__wbindgen_realloc(pointer, before, __checked_size(bytes), align);
}
`;

async function optimise() {
  const module = join(ENGINE, 'quantpress.wasm');
  say('optimizing the engine');
  await run(npmBin('wasm-opt'), ['-O3', '--strip-debug', '--strip-producers', module, '-o', module]);
}

/** The module as text, for the entry that embeds it. */
function carryInline() {
  const text = readFileSync(join(ENGINE, 'quantpress.wasm'), 'base64');
  writeFileSync(join(ENGINE, 'inline-data.js'), `export const wasm = '${text}';\n`);
  writeFileSync(
    join(ENGINE, 'inline-data.d.ts'),
    '/** quantpress.wasm in base64. */\nexport declare const wasm: string;\n',
  );
}
