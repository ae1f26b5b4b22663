import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { init, manifestOf, manifestText, openModel, parseManifest, quantizeModel, verifyModel } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { engineHash, sha256 as hasher } from '../../dist/engine/hash.js';
import { folder, sha256 } from './support/files.js';
import { WHALE, WHALE_SHA256 } from './support/whale.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

beforeAll(() => init());

const quantpress = (...args: string[]) => spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8' });

test("the engine's SHA-256 equals the system's, whatever the pieces", () => {
  const bytes = readFileSync(WHALE).subarray(0, 1_000_003);
  const [ours, system] = [engineHash('sha256'), hasher()];
  for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7 + 1) % 9973) {
    ours.update(bytes.subarray(at, at + step));
    system.update(bytes.subarray(at, at + step));
  }
  const expected = createHash('sha256').update(bytes).digest('hex');
  expect([ours.hex(), system.hex()]).toEqual([expected, expected]);
});

describe('hashes computed while writing', () => {
  test.each([0, 3])('equal those of the bytes in the file (%i workers)', async (workers) => {
    const { file } = folder();
    const source = await openModel(WHALE);
    const report = await quantizeModel(source, file('out'), 'Q4_K_M', { hashes: true, workers });
    await source.close();
    const bytes = readFileSync(file('out'));
    expect(report.sha256).toBe(sha256(bytes));
    const model = await openModel(file('out'));
    for (const [index, { name, offset, bytes: length }] of model.tensors.entries()) {
      const sum = sha256(bytes.subarray(offset, offset + length));
      expect(report.tensors[index]).toMatchObject({ name, sha256: sum });
    }
    const { problems, manifest } = await verifyModel(model);
    expect(problems).toEqual([]);
    expect(manifest).toEqual(manifestOf(report, 'out'));
    await model.close();
  });
});

describe('quantpress verify', () => {
  test('confirms an unchanged file in every manifest form, and sha256sum agrees', () => {
    const { path, file } = folder();
    for (const manifest of ['out.gguf.manifest.json', 'out.sha256', 'out.hashes']) {
      const args = ['--quiet', '--manifest', file(manifest), WHALE, file('out.gguf'), 'Q8_0'];
      expect(quantpress('quantize', ...args)).toMatchObject({ status: 0, stderr: '' });
      const named = manifest.endsWith('json') ? [] : ['--manifest', file(manifest)];
      const { status, stdout } = quantpress('verify', ...named, file('out.gguf'));
      expect(status).toBe(0);
      expect(stdout).toContain('as in the manifest');
      expect(stdout).toContain(WHALE_SHA256.Q8_0);
    }
    if (existsSync('/usr/bin/sha256sum')) {
      const { status } = spawnSync('sha256sum', ['-c', 'out.sha256'], { cwd: path });
      expect(status).toBe(0);
    }
    expect(readFileSync(file('out.hashes'), 'utf8')).toMatch(/^xxh64 {5}[0-9a-f]{16} {2}out\.gguf:output\.weight$/m);
  });

  test('names the changed tensor and exits with 1', () => {
    const { file } = folder();
    quantpress('quantize', '--manifest', file('out.manifest.json'), WHALE, file('out'), 'Q8_0');
    const bytes = readFileSync(file('out'));
    bytes[bytes.length - 70_001] = (bytes[bytes.length - 70_001] ?? 0) ^ 64;
    writeFileSync(file('out'), bytes);
    const { status, stdout, stderr } = quantpress('verify', file('out'));
    expect(status).toBe(1);
    expect(stdout).toMatch(/^tensor '[^']+': its sha256 is [0-9a-f]{64}, but the manifest has [0-9a-f]{64}$/m);
    expect(stdout).toMatch(/^the file's sha256 is /m);
    expect(stderr).toContain("out' has 2 problems");
  });

  test('finds a block with a NaN scale, without a manifest', async () => {
    const { file } = folder();
    quantpress('quantize', '--quiet', WHALE, file('out'), 'Q8_0');
    const model = await openModel(file('out'));
    const tensor = model.tensor('blk.0.ffn_up.weight');
    await model.close();
    const bytes = readFileSync(file('out'));
    bytes.writeUInt16LE(0x7e00, tensor.offset + 34 * 5); // block 5 begins with its scale, an f16 NaN
    writeFileSync(file('out'), bytes);
    const { status, stdout } = quantpress('verify', file('out'));
    expect(status).toBe(1);
    expect(stdout).toContain("tensor 'blk.0.ffn_up.weight': block 5 of Q8_0 has a scale that is not a finite number");
  });

  test.each([
    ['cut', (bytes: Buffer) => bytes.subarray(0, 3_000_000), 'bytes'],
    ['not a model', () => Buffer.from('hello, this is text'), 'not'],
  ])('reports a file that is %s', (_, damage, word) => {
    const { file } = folder();
    quantpress('quantize', '--quiet', WHALE, file('out'), 'Q8_0');
    writeFileSync(file('out'), damage(readFileSync(file('out'))));
    const { status, stderr } = quantpress('verify', file('out'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/^quantpress: [^\n]+\n$/);
    expect(stderr).toContain(word);
  });

  test('rejects a manifest that is invalid or missing', () => {
    const { file } = folder();
    writeFileSync(file('m.json'), '{"a": 1}');
    expect(quantpress('verify', '--manifest', file('m.json'), WHALE)).toMatchObject({ status: 1 });
    expect(quantpress('verify', '--manifest', file('none'), WHALE).stderr).toContain('there is no such file');
  });
});

test('missing and extra entries of a manifest are problems', async () => {
  const model = await openModel(WHALE);
  const { manifest } = await verifyModel(model);
  const expected = parseManifest(manifestText(manifest, 'm.json'));
  expected.tensors.set('ghost', { sha256: '00' });
  expected.size = 5;
  const { problems } = await verifyModel(model, { manifest: expected });
  expect(problems).toEqual([
    { tensor: 'ghost', message: 'it is in the manifest, but not in the file' },
    { message: 'the file has 7379552 bytes, but the manifest has 5' },
  ]);
  await model.close();
});
