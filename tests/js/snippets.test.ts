/**
 * The code of README.md, the guide and the documentation comments as strict TypeScript, under each way to resolve modules and
 * with and without the DOM. That it runs is tested in guide.test.ts and tsdoc.test.ts.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as quantpress from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { sourceFiles } from '../../tools/lib/imports.js';
import { blocksOf } from './support/pages.js';

const FOLDER = resolve('.cache/snippets');

/** The declarations that the examples of documentation comments assume, see tsdoc.test.ts. */
const GIVEN: Record<string, string> = {
  model: 'quantpress.Model',
  text: 'string',
  weights: 'Float32Array<ArrayBuffer>',
  bytes: 'Uint8Array<ArrayBuffer>',
  x: 'Float32Array<ArrayBuffer>',
  dy: 'Float32Array<ArrayBuffer>',
  rows: 'number',
  columns: 'number',
  batches: 'Float32Array[]',
  folder: 'FileSystemDirectoryHandle',
};

interface Snippet {
  file: string;
  code: string;
  /** Whether it needs a browser, or Node. */
  needs: 'dom' | 'node' | undefined;
}

function needsOf(code: string): Snippet['needs'] {
  if (/'node:/.test(code)) return 'node';
  return /\bdocument\b|\bnavigator\b|\bfolder\b/.test(code) ? 'dom' : undefined;
}

/** The blocks of a page: JavaScript, and the module script of an HTML page. */
function ofPage(page: string): Snippet[] {
  return blocksOf(page).flatMap(({ language, code, line }) => {
    const file = `${page.replace(/\W/g, '-')}-${line}.ts`;
    if (language === 'js') return [{ file, code: `${code}\nexport {};\n`, needs: needsOf(code) }];
    const [, script] = /<script type="module">\n([\s\S]*?)<\/script>/.exec(code) ?? [];
    if (language !== 'html' || !script) return [];
    // A script that a page loads from a CDN is the one of the package.
    const local = script.replace(/'https:[^']*\/dist\/bundle\.js'/, "'quantpress/bundle'");
    return [{ file, code: local, needs: 'dom' as const }];
  });
}

function ofComments(source: string): Snippet[] {
  const text = readFileSync(source, 'utf8');
  const examples = [...text.matchAll(/^ *\* (?:@example\n *\* )?```ts\n([\s\S]*?)^ *\* ```$/gm)];
  const codes = examples.map(([, lines = '']) => lines.replace(/^ *\* ?/gm, ''));
  // Fragments of functions are for contributors.
  const whole = codes.filter((code) => !/^return /m.test(code));
  return whole.map((code, index) => {
    const used = (name: string) => new RegExp(`(?<![.\\w'])${name}\\b(?!:)`).test(code);
    const imports = Object.keys(quantpress).filter((name) => used(name));
    const given = Object.entries(GIVEN).filter(([name]) => used(name) && !imports.includes(name));
    const head = [
      "import type * as quantpress from 'quantpress';",
      `import { ${imports.join(', ')} } from 'quantpress';`,
      ...given.map(([name, type]) => `declare const ${name}: ${type};`),
    ];
    // In its own block: an example may reuse a name from above.
    return {
      file: `${source.replaceAll('/', '-')}-${index}.ts`,
      code: `${head.join('\n')}\n{\n${code}}\nexport {};\n`,
      needs: needsOf(code),
    };
  });
}

const pages = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].flatMap(ofPage);
const comments = sourceFiles('js').flatMap(ofComments);
const snippets = [...pages, ...comments];

/** The tsconfig.json of a user's project. */
const PROJECTS = {
  'nodenext, Node alone': { module: 'NodeNext', lib: ['ES2023'], types: ['node'] },
  'nodenext, with the DOM': { module: 'NodeNext', lib: ['ES2023', 'DOM', 'DOM.Iterable'], types: ['node'] },
  'bundler, a page': { module: 'ESNext', lib: ['ES2023', 'DOM', 'DOM.Iterable'], types: [] },
  'bundler, Node alone': { module: 'ESNext', lib: ['ES2023'], types: ['node'] },
} as const;

beforeAll(() => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'node_modules'), { recursive: true });
  symlinkSync(resolve('.'), join(FOLDER, 'node_modules/quantpress'));
  writeFileSync(join(FOLDER, 'package.json'), '{ "type": "module" }');
});

describe('every snippet is strict TypeScript', () => {
  test('snippets are found', () => {
    expect(pages.length).toBeGreaterThan(18);
    expect(comments.length).toBeGreaterThan(12);
  });

  test.each(Object.entries(PROJECTS))('%s', (name, { module, lib, types }) => {
    const folder = join(FOLDER, name.replace(/\W+/g, '-'));
    mkdirSync(folder);
    const fitting = snippets.filter(
      ({ needs }) => (needs !== 'dom' || lib.some((name) => name === 'DOM')) && (needs !== 'node' || types.length > 0),
    );
    for (const { file, code } of fitting) writeFileSync(join(folder, file), code);
    const compilerOptions = {
      ...{ module, lib, types, target: 'ES2022', strict: true, noEmit: true },
      moduleResolution: module === 'NodeNext' ? 'NodeNext' : 'Bundler',
      // Without the DOM the package's own declarations use missing names.
      skipLibCheck: !lib.some((name) => name === 'DOM'),
      typeRoots: [resolve('node_modules/@types')],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
    const { stdout, status } = spawnSync(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
    expect(fitting.length).toBeGreaterThan(snippets.length / 2);
  });
});

test('results are arrays with their own memory and can be transferred', () => {
  // Compiled, not run: `Float32Array` alone may be shared memory, which `postMessage` does not transfer.
  const folder = join(FOLDER, 'transfer');
  mkdirSync(folder, { recursive: true });
  const results = {
    roundTrip: 'Float32Array<ArrayBuffer>',
    generateGaussianWeights: 'Float32Array<ArrayBuffer>',
    generateUniformWeights: 'Float32Array<ArrayBuffer>',
    generateWeightsWithOutliers: 'Float32Array<ArrayBuffer>',
    generateMultiChannelWeights: 'Float32Array<ArrayBuffer>',
    quantize: 'Uint8Array<ArrayBuffer>',
    dequantize: 'Float32Array<ArrayBuffer>',
    dequantizeTensor: 'Float32Array<ArrayBuffer>',
    dequantize4bit: 'Float32Array<ArrayBuffer>',
    fakeQuantize: 'Float32Array<ArrayBuffer>',
    packCodes: 'Uint8Array<ArrayBuffer>',
  };
  const lines = Object.entries(results).map(
    ([name, type], index) =>
      `declare const r${index}: ReturnType<typeof quantpress.${name}>; export const c${index}: ${type} = r${index};`,
  );
  const methods = `
    declare const calibrator: quantpress.Calibrator; export const a: Uint8Array<ArrayBuffer> = calibrator.toBytes();
    declare const importance: quantpress.Importance; export const b: Float32Array<ArrayBuffer> | undefined = importance.get('x');
    declare const plan: quantpress.Plan; export const d: Float32Array<ArrayBuffer> | undefined = plan.importance(0);
    declare const digits: Awaited<ReturnType<typeof quantpress.loadDigits>>;
    export const e: Float32Array<ArrayBuffer> = digits.images; export const f: Uint8Array<ArrayBuffer> = digits.labels;
    declare const memory: quantpress.MemoryTarget; export const g: Uint8Array<ArrayBuffer> = memory.bytes;
    declare const blob: quantpress.BlobTarget; export const h: Blob = blob.blob;`;
  // Everything exported has a type; internals must not be exported.
  const all = `export { ${Object.keys(quantpress).join(', ')} } from 'quantpress';`;
  const head = "import * as quantpress from 'quantpress';";
  writeFileSync(join(folder, 'main.ts'), [head, all, ...lines, methods].join('\n'));
  const args = [
    '--ignoreConfig',
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    join(folder, 'main.ts'),
  ];
  const { stdout } = spawnSync(process.execPath, [resolve('node_modules/typescript/bin/tsc'), ...args], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
});
