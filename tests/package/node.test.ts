/** The packed package in Node: code and types. */

import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Consumer, createConsumer } from './support/consumer.js';
import { example, expectedBytes, printBytes, printed } from './support/example.js';

let consumer: Consumer;

beforeAll(async () => {
  consumer = await createConsumer();
});
afterAll(() => consumer?.remove());

describe('Node', () => {
  test.each(['quantpress', 'quantpress/inline'])('%s writes the bytes of the engine under test', async (name) => {
    consumer.write({ 'bytes.js': printBytes(name) });
    expect(consumer.run(process.execPath, 'bytes.js')).toBe(await expectedBytes());
  });

  test.each(['quantpress', 'quantpress/inline'])('%s runs the example of the README', (name) => {
    consumer.write({ 'example.js': example.replace("'quantpress'", `'${name}'`) });
    expect(consumer.run(process.execPath, 'example.js').trim()).toMatch(printed);
  });

  test('quantpress/slim loads the .wasm that the package exports', () => {
    consumer.write({
      'slim.js': `
        import { readFile } from 'node:fs/promises';
        import { fileURLToPath } from 'node:url';
        import { formats, init, quantize } from 'quantpress/slim';
        await init({ wasm: await readFile(fileURLToPath(import.meta.resolve('quantpress/quantpress.wasm'))) });
        process.stdout.write(String(quantize(new Float32Array(32), 'Q8_0').length));`,
    });
    expect(consumer.run(process.execPath, 'slim.js')).toBe('34');
  });

  test('a CommonJS program loads it with import(), and with require() where Node supports it for modules', () => {
    const use = 'await q.init(); process.stdout.write(String(q.quantize(new Float32Array(32), "Q8_0").length));';
    consumer.write({
      'import.cjs': `(async () => { const q = await import('quantpress'); ${use} })();`,
      'require.cjs': `(async () => { const q = require('quantpress'); ${use} })();`,
    });
    expect(consumer.run(process.execPath, 'import.cjs')).toBe('34');
    const required = spawnSync(process.execPath, ['require.cjs'], { cwd: consumer.folder, encoding: 'utf8' });
    const canRequire = 'require_module' in process.features;
    if (canRequire) expect(required.stdout).toBe('34');
    else expect(required.stderr).toContain('ERR_REQUIRE_ESM');
  });
});

describe('TypeScript', () => {
  const source = `
    import { dequantize, formats, init, quantize, QuantpressError, type Format, type FormatName } from 'quantpress';
    import { init as initSlim } from 'quantpress/slim';
    import { init as initInline } from 'quantpress/inline';
    await init();
    await initSlim({ wasm: new URL('https://example.com/quantpress.wasm') });
    await initInline();
    const name: FormatName = 'Q4_K';
    const bytes: Uint8Array<ArrayBuffer> = quantize(new Float32Array(256), name, { rowLength: 256 });
    const weights: Float32Array<ArrayBuffer> = dequantize(bytes, name);
    const format: Format | undefined = formats()[0];
    // @ts-expect-error there is no such format
    quantize(weights, 'Q4_9');
    // @ts-expect-error a row length is a number
    quantize(weights, 'Q4_K', { rowLength: '256' });
    export const code = new QuantpressError('LENGTH', String(format?.bitsPerWeight)).code;
  `;

  test.each([
    ['7', 'typescript', 'nodenext', 'nodenext'],
    ['7', 'typescript', 'esnext', 'bundler'],
    ['5', 'typescript-5', 'nodenext', 'nodenext'],
    ['5', 'typescript-5', 'esnext', 'bundler'],
  ])(
    '%s (%s), module %s, resolution %s, finds the types with skipLibCheck off',
    (major, compiler, module, moduleResolution) => {
      const compilerOptions = {
        target: 'es2022',
        lib: ['es2023', 'dom'],
        types: [],
        module,
        moduleResolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        skipLibCheck: false,
      };
      consumer.write({
        'tsconfig.json': JSON.stringify({ compilerOptions, files: ['source.ts'] }),
        'source.ts': source,
      });
      const program = resolve('node_modules', compiler, 'bin', 'tsc');
      expect(spawnSync(process.execPath, [program, '--version'], { encoding: 'utf8' }).stdout).toContain(
        `Version ${major}.`,
      );
      const tsc = spawnSync(process.execPath, [program, '-p', '.'], {
        cwd: consumer.folder,
        encoding: 'utf8',
      });
      expect(tsc.stdout).toBe('');
      expect(tsc.status).toBe(0);
    },
  );
});
