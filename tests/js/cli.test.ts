import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CLI, expectSentence, quantpress } from './support/cli.js';
import { folder, sha256 } from './support/files.js';
import { ggufHeader, LLAMA, padded, TYPE } from './support/gguf.js';
import { serve } from './support/range-server.js';
import { WHALE, WHALE_IMATRIX, WHALE_IMATRIX_SHA256, WHALE_SHA256 } from './support/whale.js';

describe('quantize', () => {
  test.each(['Q4_0', 'Q8_0', 'Q6_K', 'Q4_K_M'] as const)('%s', async (preset) => {
    const { file, names } = folder();
    const outcome = await quantpress(['quantize', WHALE, file('out.gguf'), preset]);
    expect(outcome).toMatchObject({ code: 0 });
    expect(sha256(file('out.gguf'))).toBe(WHALE_SHA256[preset]);
    expect(names()).toEqual(['out.gguf']);
    expect(outcome.stdout).toMatch(/out\.gguf: 7\.38 MB -> \d\.\d\d MB \(\d\d\.\d%\) in/);
  });

  test('records the name of the importance matrix as given', async () => {
    const { path, file } = folder();
    symlinkSync(WHALE_IMATRIX, file('tiny-whale.imatrix.gguf'));
    const args = ['quantize', '--imatrix', 'tiny-whale.imatrix.gguf', WHALE, 'out.gguf', 'q4_k_m'];
    expect(await quantpress(args, path)).toMatchObject({ code: 0 });
    expect(sha256(file('out.gguf'))).toBe(WHALE_IMATRIX_SHA256);
  });

  test("accepts a missing OUT, a preset's number, THREADS and --quiet", async () => {
    const { file, names } = folder();
    symlinkSync(WHALE, file('in.gguf'));
    expect(await quantpress(['quantize', '--quiet', file('in.gguf'), '7', '1'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    // A number is a preset only in its position: without OUT the second argument must be a preset's name or number.
    expect(names()).toEqual(['ggml-model-Q8_0.gguf', 'in.gguf']);
    expect(sha256(file('ggml-model-Q8_0.gguf'))).toBe(WHALE_SHA256.Q8_0);
  });

  test('reads from a URL', async () => {
    const { file } = folder();
    const url = await serve(readFileSync(WHALE));
    expect(await quantpress(['quantize', url, file('out.gguf'), 'Q8_0'])).toMatchObject({ code: 0 });
    expect(sha256(file('out.gguf'))).toBe(WHALE_SHA256.Q8_0);
  });

  test('writes to a device', async () => {
    expect(await quantpress(['quantize', WHALE, '/dev/null', 'Q8_0'])).toMatchObject({ code: 0 });
  });

  test('--dry-run prints the plan and writes nothing', async () => {
    const { file, names } = folder();
    const { code, stdout } = await quantpress(['quantize', '--dry-run', WHALE, file('out.gguf'), 'Q4_K_M']);
    expect(code).toBe(0);
    expect(stdout).toContain('would become 2289760');
    expect(stdout).toMatch(/output\.weight +256 x 1024 +F16 +Q6_K +215040 /);
    expect(names()).toEqual([]);
  });

  test('--dry-run reports a missing importance matrix', async () => {
    const { code, stdout } = await quantpress(['quantize', '--dry-run', WHALE, 'IQ2_XXS']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n\d+ tensors need an importance matrix/);
  });

  test('--report writes the weight errors', async () => {
    const { file } = folder();
    await quantpress(['quantize', '--report', file('report.json'), WHALE, file('out.gguf'), 'Q4_0']);
    const report = JSON.parse(readFileSync(file('report.json'), 'utf8'));
    expect(report).toMatchObject({ sourceSize: 7_379_552, size: 2_171_488 });
    expect(report.tensors[0]).toMatchObject({ name: 'output.weight', from: 'F16', to: 'Q6_K' });
  });

  test('accepts tensor types from the command line and from a file', async () => {
    const { file } = folder();
    writeFileSync(file('types'), 'ffn_down=q8_0\n attn_v=q5_0 ');
    const args = ['--tensor-type', 'ffn_up=F16', '--tensor-type-file', file('types'), '--output-tensor-type', 'q4_0'];
    const { stdout } = await quantpress(['quantize', '--dry-run', ...args, WHALE, 'Q4_K_M']);
    expect(stdout).toMatch(/blk\.0\.ffn_up\.weight +[\dx ]+ F16 +F16 /);
    expect(stdout).toMatch(/blk\.0\.ffn_down\.weight +[\dx ]+ F16 +Q8_0 /);
    expect(stdout).toMatch(/blk\.0\.attn_v\.weight +[\dx ]+ F16 +Q5_0 /);
    expect(stdout).toMatch(/output\.weight +[\dx ]+ F16 +Q4_0 /);
  });
});

describe('an invalid command line exits with 2', () => {
  test.each([
    ['no command', [], 'there is no command'],
    ['an unknown command', ['shrink'], "there is no command 'shrink'"],
    ['a name that every object has', ['constructor'], "there is no command 'constructor'"],
    ['no arguments', ['quantize'], 'quantize needs IN, OUT and PRESET'],
    ['no preset', ['quantize', 'a', 'b.gguf'], "quantize needs a PRESET after 'b.gguf'"],
    ['an unknown preset', ['quantize', 'a', 'b', 'Q4_K_X'], "unknown preset 'Q4_K_X'; did you mean Q4_K"],
    ['a preset similar to none', ['quantize', 'a', 'b', 'shrinkage'], "unknown preset 'shrinkage'"],
    ['an unknown option', ['quantize', '--fast', 'a', 'b', 'Q4_0'], "unknown option '--fast'"],
    [
      'an option without its value',
      ['quantize', 'a', 'b', 'Q4_0', '--imatrix'],
      "option '--imatrix <value>' argument missing",
    ],
    [
      'threads that are not a number',
      ['quantize', 'a', 'b', 'Q4_0', '--threads', 'many'],
      "--threads is 'many', and must be a whole number from 0 to 999",
    ],
    ['one argument too many', ['quantize', 'a', 'b', 'Q4_0', '2', 'c'], "'c' is one argument too many"],
    [
      'contradicting options',
      ['quantize', '--include-weights', 'a', '--exclude-weights', 'b', 'a', 'b', 'Q4_0'],
      'cannot be used together',
    ],
    [
      'a malformed type',
      ['quantize', '--tensor-type', 'ffn_up', 'a', 'b', 'Q4_0'],
      "'ffn_up' is not of the form REGEX=TYPE",
    ],
    [
      'a layer that is not a number',
      ['quantize', '--prune-layers', '1,x', 'a', 'b', 'Q4_0'],
      "--prune-layers has 'x', and must be numbers of layers such as 3,4",
    ],
    [
      'a time that is not a number',
      ['inspect', '--idle-timeout', 'long', 'a'],
      "--idle-timeout is 'long', and must be a number of seconds above 0, or none",
    ],
    ['no tries', ['verify', '--attempts', '0', 'a'], "--attempts is '0', and must be a whole number from 1 to 9999"],
    ['inspect without a file', ['inspect'], 'inspect needs a FILE'],
    ['inspect with two files', ['inspect', 'a', 'b'], "'b' is a second"],
  ])('%s', async (_, args, sentence) => {
    const outcome = await quantpress(args);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr.split('\n')[0]).toContain(sentence);
  });

  test('rejects an OUT that is the same file as IN under any name', async () => {
    const { file } = folder();
    writeFileSync(file('in'), readFileSync(WHALE));
    symlinkSync(file('in'), file('out'));
    const outcome = await quantpress(['quantize', file('in'), file('out'), 'Q4_0']);
    expect(outcome).toMatchObject({ code: 2 });
    expect(outcome.stderr).toContain('IN and OUT are the same file');
    expect(readFileSync(file('in')).equals(readFileSync(WHALE))).toBe(true);
  });
});

describe('a failure exits with 1, one sentence and no output', () => {
  const whale = readFileSync(WHALE);
  // In the magic, the counts, a key, the vocabulary, the tensor table, the padding, the first tensor, the last.
  const cuts = [
    0,
    1,
    3,
    4,
    7,
    8,
    15,
    16,
    23,
    24,
    31,
    33,
    60,
    1000,
    20_000,
    40_000,
    50_000,
    100_000,
    5_000_000,
    whale.length - 1,
  ];

  test.each(cuts)('a file cut to %i bytes', async (length) => {
    const { file, names } = folder();
    writeFileSync(file('in.gguf'), whale);
    truncateSync(file('in.gguf'), length);
    const outcome = await quantpress(['quantize', file('in.gguf'), file('out.gguf'), 'Q8_0']);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr.trim().split('\n')).toHaveLength(1);
    expect(names()).toEqual(['in.gguf']);
  });

  const counts = (offset: number) => {
    const bytes = new Uint8Array(whale);
    new DataView(bytes.buffer).setBigUint64(offset, 0x7fff_ffff_ffff_ffffn, true);
    return bytes;
  };
  test.each([
    [
      'a wrong magic',
      new TextEncoder().encode('PK\u0003\u0004 this is another kind of file altogether'),
      /begin|magic/i,
    ],
    ['absurdly many tensors', counts(8), /9223372036854775807|limit|more than|at most/i],
    ['absurdly many keys', counts(16), /9223372036854775807|limit|more than|at most/i],
  ])('%s', async (_, bytes, sentence) => {
    const { file, names } = folder();
    writeFileSync(file('in.gguf'), bytes);
    const outcome = await quantpress(['quantize', file('in.gguf'), file('out.gguf'), 'Q8_0']);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr).toMatch(sentence);
    expect(names()).toEqual(['in.gguf']);
  });

  test.each([
    ['IN', ['quantize', 'none.gguf', 'out.gguf', 'Q8_0'], "cannot read 'none.gguf': there is no such file or folder"],
    ['IN to inspect', ['inspect', 'none.gguf'], "cannot read 'none.gguf': there is no such file or folder"],
    [
      'the folder of OUT',
      ['quantize', WHALE, 'no/out.gguf', 'Q8_0'],
      "cannot write 'no/out.gguf': there is no such file or folder",
    ],
    ['a file for OUT', ['quantize', WHALE, '.', 'Q8_0'], "cannot write '.': it is a directory"],
    [
      'the matrix',
      ['quantize', '--imatrix', 'none', WHALE, 'out', 'Q8_0'],
      "cannot read 'none': there is no such file or folder",
    ],
    [
      'the types',
      ['quantize', '--tensor-type-file', 'none', WHALE, 'out', 'Q8_0'],
      "cannot read 'none': there is no such file or folder",
    ],
    ['importance', ['quantize', WHALE, 'out', 'IQ1_S'], 'requires an importance matrix'],
    ['a type that does not exist', ['quantize', '--output-tensor-type', 'Q9', WHALE, 'out', 'Q8_0'], 'Q9'],
  ])('missing: %s', async (_, args, sentence) => {
    const { path, names } = folder();
    const outcome = await quantpress(args, path);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr).toContain(sentence);
    expect(names()).toEqual([]);
  });

  test('text of a file cannot control the terminal', async () => {
    const { file } = folder();
    const outcome = await quantpress(['inspect', file('\u001b[2Jgone')]);
    expect(outcome.stderr).toContain('\\u001b[2Jgone');
    expect(outcome.stderr).not.toContain('\u001b');
  });
});

describe('a signal', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends the program with %i and leaves nothing', async (signal, code) => {
    const { file, names } = folder();
    // 2 GiB of zeros, which take no disk space and take long enough to be interrupted.
    const size = 2 ** 31;
    const tensor = { name: 'blk.0.ffn_up.weight', type: TYPE.F16, shape: [4096, size / 8192], size: padded(size) };
    const header = ggufHeader(LLAMA, [tensor]);
    writeFileSync(file('in.gguf'), header);
    truncateSync(file('in.gguf'), header.length + size);
    const outcome = await quantpress(
      ['quantize', file('in.gguf'), file('out.gguf'), 'Q6_K'],
      undefined,
      (child, stderr) => {
        if (stderr.includes('%') && !child.killed) child.kill(signal);
      },
    );
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(names()).toEqual(['in.gguf']);
  });
});

describe('inspect', () => {
  test('prints metadata, tensors and totals', async () => {
    const { code, stdout } = await quantpress(['inspect', WHALE]);
    expect(code).toBe(0);
    expect(stdout).toContain('GGUF version 3, 7.38 MB (7379552 bytes), alignment 32');
    expect(stdout).toMatch(/general\.architecture +string +llama\n/);
    expect(stdout).toMatch(/layer_norm_rms_epsilon +float32 +0\.00001\n/);
    expect(stdout).toMatch(/tokenizer\.ggml\.tokens +string\[\] +\[.*\.\.\.\] \(1024\)\n/);
    expect(stdout).toMatch(/token_embd\.weight +F16 +256 x 1024 +524288 +\d+\n/);
    expect(stdout).toMatch(/F16 +\d+ +\d+ +\d+ +16\.0000\n/);
  });

  test('prints JSON for programs', async () => {
    const { code, stdout } = await quantpress(['inspect', '--json', WHALE]);
    expect(code).toBe(0);
    const content = JSON.parse(stdout);
    expect(content).toMatchObject({ size: 7_379_552, container: 'gguf', version: 3, alignment: 32 });
    expect(content.metadata['general.architecture']).toEqual({ type: 'string', value: 'llama' });
    expect(content.tensors).toContainEqual(expect.objectContaining({ name: 'token_embd.weight', type: 'F16' }));
    expect(content.totals.map(({ type }: { type: string }) => type).sort()).toEqual(['F16', 'F32']);
  });

  test('does not fail if its pipe closes early', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${CLI}" inspect --json "${WHALE}" | head -c 10; true`]);
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toBe('');
  });
});

test('every command limits the time and the tries of a silent server', async () => {
  let requests = 0;
  const server = createServer(() => {
    requests += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
  const limits = ['--attempts', '2', '--idle-timeout', '0.2', '--max-wait', '0.01'];
  const commands = [
    ['inspect', url],
    ['verify', url],
    ['analyze', url],
    ['diff', url, url],
    ['quantize', url, 'o', 'Q8_0'],
  ];
  try {
    for (const [index, [command = '', ...files]] of commands.entries()) {
      const outcome = await quantpress([command, ...limits, ...files]);
      expectSentence(outcome);
      expect(outcome.stderr).toContain('127.0.0.1');
      expect([command, outcome.code, requests]).toEqual([command, command === 'diff' ? 2 : 1, 2 * (index + 1)]);
    }
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

describe('help', () => {
  test.each(['quantize', 'inspect', 'analyze', 'diff', 'verify'])(
    'of %s lists the limits for URLs',
    async (command) => {
      const { stdout } = await quantpress([command, '--help']);
      for (const option of ['--attempts N', '--idle-timeout S', '--max-wait S']) {
        const [line = ''] = stdout.split('\n').filter((line) => line.startsWith(`  ${option} `));
        expect(line).toMatch(/^.{40,120}$/);
      }
    },
  );

  test('--version prints the version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await quantpress(['--version'])).toEqual({ code: 0, stderr: '', stdout: `${version}\n` });
  });
});
