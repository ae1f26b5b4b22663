/**
 * Builds the engine: Rust to WebAssembly, wasm-bindgen's glue code, and wasm-opt. The results are in .cache/engine.
 *
 * The engine is several modules, each the same crate with the exports of one feature; see src/wasm/mod.rs.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wasmBindgen } from './bindgen.js';
import { at, npmBin, output, run } from './run.js';
import { cargoWasm, wasmToolchain } from './rust.js';
import { say, Stop } from './say.js';
import { digest, once } from './stamp.js';

/** @typedef {'release' | 'dev'} Mode */

const INPUTS = ['Cargo.toml', 'Cargo.lock', '.cargo/config.toml', 'src', 'tools/lib/engine.js', 'tools/lib/rust.js'];

/**
 * A WebAssembly module of the package.
 * @typedef {object} Module
 * @property {string} name how errors and `init({ modules })` name it
 * @property {string} file its name in the package
 * @property {string} glue the name of its glue code, without extension
 * @property {string} feature the feature of the crate with its exports
 * @property {string} profile how it is compiled for release
 * @property {string} optimize the option of wasm-opt
 */

/** @type {readonly Module[]} */
export const MODULES = [
  {
    name: 'main',
    file: 'quantpress.wasm',
    glue: 'bindings',
    feature: 'bindings',
    profile: 'release',
    optimize: '-O3',
  },
  {
    name: 'model',
    file: 'quantpress-model.wasm',
    glue: 'model-bindings',
    feature: 'bindings-model',
    profile: 'small',
    optimize: '-Os',
  },
  {
    name: 'convert',
    file: 'quantpress-convert.wasm',
    glue: 'convert-bindings',
    feature: 'bindings-convert',
    profile: 'small',
    optimize: '-Os',
  },
  {
    name: 'inference',
    file: 'quantpress-inference.wasm',
    glue: 'inference-bindings',
    feature: 'bindings-inference',
    profile: 'release',
    optimize: '-O3',
  },
  {
    name: 'bench',
    file: 'quantpress-bench.wasm',
    glue: 'bench-bindings',
    feature: 'bindings-bench',
    profile: 'small',
    optimize: '-Os',
  },
];

/** The files of the engine. */
export const OUTPUTS = [
  ...MODULES.flatMap(({ file, glue }) => [`engine/${glue}.js`, `engine/${glue}.d.ts`, file]),
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
    rmSync(ENGINE, { recursive: true, force: true });
    mkdirSync(join(ENGINE, 'engine'), { recursive: true });
    for (const module of MODULES) await buildModule(module, mode);
    carryInline();
    writeFileSync(MODE, mode);
  });
}

/** @param {Module} module @param {Mode} mode */
async function buildModule(module, mode) {
  say(mode === 'dev' ? `compiling the module '${module.name}' (dev)` : `compiling the module '${module.name}'`);
  const profile = mode === 'dev' ? 'quick' : module.profile;
  // Only this build makes a WebAssembly module: a program that depends on the crate links no shared library.
  const folder = await cargoWasm([
    ...['rustc', '--quiet', '--lib', '--crate-type', 'cdylib', '--no-default-features', '--features', module.feature],
    ...['--profile', profile],
  ]);
  await glue(join(folder, profile, 'quantpress.wasm'), module);
  if (mode === 'release') await optimize(module);
  say(`${module.file} has ${statSync(join(ENGINE, module.file)).size} bytes`);
}

/** @param {string} compiled @param {Module} module */
async function glue(compiled, { glue: name, file }) {
  const folder = join(ENGINE, 'engine');
  await run(await wasmBindgen(), [
    compiled,
    '--target=web',
    `--out-dir=${folder}`,
    `--out-name=${name}`,
    // The entries know the location; with a path in the glue code, bundlers of ./slim and ./inline would look for the
    // file.
    '--omit-default-module-path',
    '--remove-name-section',
    '--remove-producers-section',
    '--ts-typed-array-buffers',
  ]);
  renameSync(join(folder, `${name}_bg.wasm`), join(ENGINE, file));
  rmSync(join(folder, `${name}_bg.wasm.d.ts`));
  harden(join(folder, `${name}.js`));
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

/** @param {Module} module */
async function optimize({ name, file, optimize }) {
  const path = join(ENGINE, file);
  say(`optimizing the module '${name}'`);
  await run(npmBin('wasm-opt'), [optimize, '--strip-debug', '--strip-producers', path, '-o', path]);
}

/** The modules as text, for the entry that embeds them. */
function carryInline() {
  const text = (/** @type {Module} */ { file }) => readFileSync(join(ENGINE, file), 'base64');
  writeFileSync(
    join(ENGINE, 'inline-data.js'),
    MODULES.map((module) => `export const ${module.name} = '${text(module)}';\n`).join(''),
  );
  writeFileSync(
    join(ENGINE, 'inline-data.d.ts'),
    MODULES.map(({ name, file }) => `/** ${file} in base64. */\nexport declare const ${name}: string;\n`).join(''),
  );
}
