/**
 * A Rust toolchain that compiles for WebAssembly, from one of two sources:
 *   path    the rustc on PATH has the target's standard library, or rustup can add it
 *   debian  Debian's rustc-web with the standard library from source, which only needs Debian's archive
 *
 * WASM_TOOLCHAIN=auto|path|debian selects one; RUSTUP_TRY is the number of seconds that rustup may take (default 20; 0
 * skips it).
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
    throw new Stop(
      'Rust is not installed: install rustup from https://www.rust-lang.org/tools/install, then try again',
    );
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

/** Asks rustc, not rustup: this works for any toolchain, whether from rustup or a distribution. */
function hasTarget() {
  const folder = output('rustc', ['--print', 'target-libdir', '--target', TARGET]);
  return !!folder && existsSync(folder) && readdirSync(folder).some((name) => /^libstd-.*\.rlib$/.test(name));
}

function tryRustup() {
  const seconds = Number(process.env.RUSTUP_TRY ?? 20);
  if (!which('rustup') || !(seconds > 0)) return false;
  say(`adding Rust's target ${TARGET} (rustup may take ${seconds} seconds)`);
  if (output('rustup', ['target', 'add', TARGET], { seconds }) !== undefined) return true;
  say('rustup did not finish in time');
  return false;
}

const DEBIAN_RUSTC = '/usr/bin/rustc';

/** Debian's compiler, the library sources of the same version (which must match) and a linker. */
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
 * Runs cargo for WebAssembly, with one target folder per toolchain so that neither rebuilds what the other has built.
 * @param {string[]} args @param {Record<string, string>} [env]
 * @returns {Promise<string>} the target folder, which contains a folder per profile
 */
export async function cargoWasm(args, env = {}) {
  const toolchain = await wasmToolchain();
  const folder = join(process.env.CARGO_TARGET_DIR ?? at('target'), `wasm-${toolchain}`);
  await run('cargo', ['fetch', '--locked', '--quiet']); // so that the folders to rename exist
  const common = [...args, '--locked', '--target', TARGET, '--target-dir', folder, '--config', renames()];
  if (toolchain === 'path') {
    await run('cargo', common, { env });
  } else {
    // Absolute paths, because rustup's proxies may come first on PATH. RUSTC_BOOTSTRAP is only set here, because crates
    // take it for a nightly compiler.
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
 * Removes paths of this machine from the module, so that it has the same bytes wherever it is built. Cargo adds these
 * flags to those of .cargo/config.toml; a RUSTFLAGS variable would replace them, including the one for SIMD.
 */
function renames() {
  if (process.env.RUSTFLAGS) say('RUSTFLAGS is set: it replaces the flags of .cargo/config.toml, including SIMD');
  const registry = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry', 'src');
  const folders = existsSync(registry) ? readdirSync(registry).map((name) => join(registry, name)) : [];
  const flags = [`${root}=/quantpress`, ...folders.map((folder) => `${folder}=/deps`)];
  return `target.${TARGET}.rustflags=${JSON.stringify(flags.map((flag) => `--remap-path-prefix=${flag}`))}`;
}
