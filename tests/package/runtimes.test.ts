/** The packed package in Deno, Bun and workerd, which are npm packages: the bytes equal those of Node. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WHALE, WHALE_SHA256 } from '../js/support/whale.js';
import { type Consumer, createConsumer } from './support/consumer.js';
import { answerBytes, expectedBytes, printBytes } from './support/example.js';

let consumer: Consumer;

beforeAll(async () => {
  consumer = await createConsumer();
  consumer.write({ 'main.js': printBytes('quantpress'), 'inline.js': printBytes('quantpress/inline') });
});
afterAll(() => consumer?.remove());

/** A program from npm for this system. If there is none, the test reports that and is counted as skipped. */
function program(name: string, ...places: string[]): string | undefined {
  const { platform, arch } = process;
  const found = places
    .map((place) => resolve('node_modules', place.replace('PLATFORM', platform).replace('ARCH', arch)))
    .find((path) => existsSync(path));
  if (!found) console.error(`${name} cannot be had for ${platform} on ${arch} from npm: not tested here`);
  return found;
}

const deno = program('Deno', '@deno/PLATFORM-ARCH-glibc/deno', '@deno/PLATFORM-ARCH/deno');
const bun = program('Bun', '@oven/bun-PLATFORM-ARCH/bin/bun', '@oven/bun-PLATFORM-aarch64/bin/bun');
const workerd = program(
  'workerd',
  `@cloudflare/workerd-PLATFORM-${process.arch === 'x64' ? '64' : 'ARCH'}/bin/workerd`,
);

const permissions = ['run', '--no-remote', '--no-lock', '--node-modules-dir=manual', '--allow-read', '--allow-env'];

test.skipIf(!deno)('Deno runs the package', async () => {
  for (const file of ['main.js', 'inline.js']) {
    expect(consumer.run(deno!, ...permissions, file)).toBe(await expectedBytes());
  }
});

test.skipIf(!deno)('Deno with only read and write permission writes a whole file', () => {
  const script = `
    import { init, openModel, quantizeModel } from 'quantpress';
    await init();
    const model = await openModel(${JSON.stringify(WHALE)});
    const { sha256 } = await quantizeModel(model, 'out.gguf', 'Q8_0', { hashes: true, workers: 0 });
    await model.close();
    console.log(sha256);`;
  consumer.write({ 'write.js': script });
  expect(consumer.run(deno!, ...permissions, '--allow-write=.', 'write.js').trim()).toBe(WHALE_SHA256.Q8_0);
});

test.skipIf(!bun)('Bun runs the package', async () => {
  for (const file of ['main.js', 'inline.js']) expect(consumer.run(bun!, 'run', file)).toBe(await expectedBytes());
});

test.skipIf(!workerd)('workerd runs the package with the engine as a separate module', async () => {
  const { build } = await import('esbuild');
  // As in wrangler: the conditions of workerd, and .wasm files as modules next to the script.
  await build({
    stdin: {
      contents: answerBytes,
      resolveDir: consumer.folder,
    },
    outfile: join(consumer.folder, 'worker.mjs'),
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker'],
    logLevel: 'warning',
    plugins: [
      {
        name: 'wasm modules',
        setup: (build) => build.onResolve({ filter: /\.wasm$/ }, ({ path }) => ({ path, external: true })),
      },
    ],
  });
  consumer.write({
    'config.capnp': `using Workerd = import "/workerd/workerd.capnp";
      const config :Workerd.Config = (
        services = [(name = "main", worker = (
          modules = [(name = "worker.mjs", esModule = embed "worker.mjs"),
            ${['quantpress', 'quantpress-model', 'quantpress-convert', 'quantpress-inference', 'quantpress-bench']
              .map((name) => `(name = "${name}.wasm", wasm = embed "node_modules/quantpress/dist/${name}.wasm")`)
              .join(', ')}],
          compatibilityDate = "2025-01-01"))],
        sockets = [(name = "main", http = (), service = "main")]);`,
  });
  const port = await freePort();
  const server = spawn(workerd!, ['serve', 'config.capnp', '--socket-addr', `main=127.0.0.1:${port}`], {
    cwd: consumer.folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    await expect.poll(() => answer(port), { timeout: 60_000, interval: 200 }).toBe(await expectedBytes());
  } finally {
    server.kill();
  }
});

async function answer(port: number): Promise<string> {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/`)).text();
  } catch {
    return ''; // not listening yet
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
