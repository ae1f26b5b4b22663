/**
 * A Rust that compiles for WebAssembly, on three kinds of machine:
 *   path    the rustc on PATH has the target's standard library, or rustup can add it
 *   debian  Debian's rustc-web with the standard library from source: no more than Debian's archive is needed
 *
 * WASM_TOOLCHAIN=auto|path|debian chooses; RUSTUP_TRY is how many seconds rustup may take (20; 0: do not try).
 */

import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { aptInstall, at, isDebianRoot, isProgram, output, root, run, which } from './run.js';
import { say, Stop } from './say.js';

export const TARGET = 'wasm32-unknown-unknown';

/** @typedef {'path' | 'debian'} Toolchain */

/** @type {Toolchain | undefined} */
let chosen;

/** @returns {Promise<Toolchain>} */
export async function wasmToolchain() {
  if (which('cargo') === undefined) {
    throw new Stop('Rust is not installed: get rustup from https://www.rust-lang.org/tools/install, then try again');
  }
  chosen ??= await choose();
  return chosen;
}

/** @returns {Promise<Toolchain>} */
async function choose() {
  const wanted = process.env.WASM_TOOLCHAIN ?? 'auto';
  if (wanted !== 'debian') {
    if (hasTarget() || (tryRustup() && hasTarget())) return 'path';
  }
  if (wanted !== 'path') {
    if (debian() || (await installDebian())) return 'debian';
  }
  throw new Stop(`this Rust cannot compile for WebAssembly: run 'rustup target add ${TARGET}', then try again`);
}

/** Asks rustc, not rustup: right for rustup's, a distribution's and any other toolchain. */
function hasTarget() {
  const folder = output('rustc', ['--print', 'target-libdir', '--target', TARGET]);
  return !!folder && existsSync(folder) && readdirSync(folder).some((name) => /^libstd-.*\.rlib$/.test(name));
}

function tryRustup() {
  const seconds = Number(process.env.RUSTUP_TRY ?? 20);
  if (!which('rustup') || !(seconds > 0)) return false;
  say(`adding Rust's target ${TARGET} (rustup may take ${seconds} seconds)`);
  if (output('rustup', ['target', 'add', TARGET], { seconds }) !== undefined) return true;
  say('rustup could not add it in time');
  return false;
}

const DEBIAN_RUSTC = '/usr/bin/rustc';

/** Debian's compiler, the library sources of the same version (mixing never works) and a linker. */
function debian() {
  if (!isProgram(DEBIAN_RUSTC) || !isProgram('/usr/bin/cargo')) return undefined;
  const version = output(DEBIAN_RUSTC, ['--version'])?.split(' ')[1];
  const sources = join(output(DEBIAN_RUSTC, ['--print', 'sysroot']) ?? '', 'lib/rustlib/src/rust/library');
  const linker = which('wasm-ld-19', 'wasm-ld');
  if (!linker || !existsSync(join(sources, 'Cargo.lock'))) return undefined;
  return realpathSync(sources).includes(`rustc-${version}/`) ? { linker } : undefined;
}

async function installDebian() {
  if (!isDebianRoot()) return false;
  say("installing Debian's rustc-web, cargo-web, rust-web-src and lld-19 (about 2 GB)");
  return (await aptInstall(['rustc-web', 'cargo-web', 'rust-web-src', 'lld-19'])) === 0 && debian() !== undefined;
}

/**
 * Runs cargo for WebAssembly. One target folder per toolchain: neither rebuilds what the other built.
 * @param {string[]} args @param {Record<string, string>} [env]
 * @returns {Promise<string>} the folder with what was built, a profile's folder below it
 */
export async function cargoWasm(args, env = {}) {
  const toolchain = await wasmToolchain();
  const folder = join(process.env.CARGO_TARGET_DIR ?? at('target'), `wasm-${toolchain}`);
  await run('cargo', ['fetch', '--locked', '--quiet']); // so that the folders to rename are there
  const common = [...args, '--locked', '--target', TARGET, '--target-dir', folder, '--config', renames()];
  if (toolchain === 'path') {
    await run('cargo', common, { env });
  } else {
    // Whole paths: rustup's proxies may come first on PATH. RUSTC_BOOTSTRAP only here: crates take it for a nightly.
    await run('/usr/bin/cargo', [...common, '-Zbuild-std=std,panic_abort,test'], {
      env: {
        ...env,
        RUSTC: DEBIAN_RUSTC,
        RUSTDOC: '/usr/bin/rustdoc',
        RUSTC_BOOTSTRAP: '1',
        RUSTUP_TOOLCHAIN: undefined,
        RUSTC_WRAPPER: undefined,
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: debian()?.linker,
      },
    });
  }
  return join(folder, TARGET);
}

/**
 * No path of this machine in the module, and so the same bytes wherever it is built. Cargo adds these flags to those of
 * .cargo/config.toml, where a RUSTFLAGS variable would replace them, and SIMD would go with them.
 */
function renames() {
  if (process.env.RUSTFLAGS) say('RUSTFLAGS is set: it replaces the flags of .cargo/config.toml, SIMD among them');
  const registry = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry', 'src');
  const folders = existsSync(registry) ? readdirSync(registry).map((name) => join(registry, name)) : [];
  const flags = [`${root}=/quantpress`, ...folders.map((folder) => `${folder}=/deps`)];
  return `target.${TARGET}.rustflags=${JSON.stringify(flags.map((flag) => `--remap-path-prefix=${flag}`))}`;
}
