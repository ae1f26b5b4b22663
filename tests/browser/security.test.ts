/** The page's security guarantees: its policy, no network requests, and names from files shown only as text. */

import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { gguf, LLAMA, TYPE, type TestTensor } from '../js/support/gguf.js';
import { open } from './support/browser.js';
import { useServed } from './support/playground.js';

const app = useServed();

/** A policy as directives. */
function parse(policy: string): Map<string, string[]> {
  return new Map(
    policy
      .split(';')
      .map((directive) => directive.trim().split(/\s+/))
      .map(([name = '', ...sources]) => [name, sources]),
  );
}

async function policyOf(path: string): Promise<Map<string, string[]>> {
  const html = await (await fetch(`${app.url}/${path}`)).text();
  const content = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(html)?.[1] ?? '';
  // The policy does not cover elements before it.
  expect(html.indexOf('<script')).toBeGreaterThan(html.indexOf('Content-Security-Policy'));
  return parse(content);
}

describe.each(['index.html', 'url.html'])('the policy of %s', (path) => {
  test("allows only what it names, and only the page's own code", async () => {
    const policy = await policyOf(path);
    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('script-src')).toEqual(["'self'", "'wasm-unsafe-eval'"]);
    expect(policy.get('style-src')).toEqual(["'self'"]);
    expect(policy.get('form-action')).toEqual(["'none'"]);
    expect(policy.get('base-uri')).toEqual(["'none'"]);
    const all = [...policy].flatMap(([, sources]) => sources);
    for (const never of ["'unsafe-inline'", "'unsafe-eval'", '*', 'https:*']) expect(all).not.toContain(never);
    // Only url.html can reach other origins, and only to read.
    const elsewhere = [...policy].filter(([, sources]) => sources.some((source) => /^(https?:|\*|.*\.)/.test(source)));
    expect(elsewhere.map(([name]) => name)).toEqual(path === 'url.html' ? ['connect-src'] : []);
    if (path === 'index.html') expect(policy.get('connect-src')).toEqual(["'self'", 'blob:']);
  });
});

test('the browser enforces the policy: no inline code runs, and no other origin is reached', async () => {
  const { page } = await open(app.browser, app.url);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  const broken = await page.evaluate(async () => {
    const refused: string[] = [];
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => refused.push(effectiveDirective));
    const script = document.createElement('script');
    script.textContent = 'globalThis.taken = 1';
    document.head.append(script);
    const style = document.createElement('style');
    style.textContent = 'body { display: none }';
    document.head.append(style);
    const image = new Image();
    image.src = 'http://127.0.0.1:9/pixel.png';
    await fetch('http://127.0.0.1:9/').catch(() => undefined);
    const holder = document.createElement('div');
    holder.innerHTML = '<button onclick="globalThis.taken = 2">x</button>';
    document.body.append(holder);
    holder.querySelector('button')?.click();
    // Violations are reported later, some by another process.
    while (refused.length < 5) await new Promise((resolve) => setTimeout(resolve, 10));
    return { refused: refused.sort(), taken: Reflect.get(globalThis, 'taken') as unknown };
  });
  // (Code that the test evaluates does not come from the page, so its policy does not apply.)
  expect(broken.refused).toEqual(['connect-src', 'img-src', 'script-src-attr', 'script-src-elem', 'style-src-elem']);
  expect(broken.taken).toBeUndefined();
  await page.close();
});

test('no view sends a request to another origin, from opening to saving', async () => {
  const context = await app.browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const asked: string[] = [];
  // On the context, to include requests of workers and of the service worker.
  context.on('request', (request) => asked.push(request.url()));
  await page.goto(app.url);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  await page.getByRole('link', { name: 'Save the file' }).click();
  await page.getByRole('link', { name: 'Blocks' }).click();
  await page.locator('[data-i="143"]').waitFor();
  await page.getByRole('link', { name: 'Benchmarks' }).click();
  const part = page.getByRole('region', { name: 'Accuracy after quantization', exact: true });
  await part.getByRole('button', { name: 'Run' }).click();
  await part.locator('.finding strong').first().waitFor();
  await page.evaluate(() => navigator.serviceWorker.ready);
  const own = (url: string): boolean => url.startsWith(`${app.url}/`) || url.startsWith(`blob:${app.url}/`);
  expect(asked.some((url) => url.endsWith('.wasm'))).toBe(true);
  expect(asked.filter((url) => !own(url) && !url.startsWith('data:'))).toEqual([]);
  await context.close();
});

const HOSTILE = [
  '<script>globalThis.taken = 1</script>',
  '<img src=x onerror="globalThis.taken = 1">',
  '"><svg onload=globalThis.taken=1>',
  "';globalThis.taken=1;//",
  '{{constructor.constructor("globalThis.taken=1")()}}',
  '\u202egpj.exe\u202c',
  '\u0000\u0007\u001b[31mred',
  '../../../etc/passwd',
  'javascript:globalThis.taken=1',
  'https://example.invalid/pixel.png',
];
const LONG = 'x'.repeat(60_000);

/** A model whose names and texts all contain attacks. */
function hostile(): Uint8Array<ArrayBuffer> {
  const tensor = (name: string): TestTensor => ({
    name,
    type: TYPE.F32,
    shape: [256, 2],
    bytes: new Uint8Array(new Float32Array(512).map((_, i) => Math.sin(i)).buffer),
  });
  const metadata: Record<string, string | number | string[]> = {
    ...LLAMA,
    'general.name': HOSTILE[0]!,
    'general.author': HOSTILE[1]!,
    'general.url': HOSTILE[8]!,
    'general.description': LONG,
    'tokenizer.chat_template': HOSTILE[4]!,
    'general.tags': HOSTILE,
  };
  for (const [i, text] of HOSTILE.entries()) metadata[`x.${text}`] = `${i} ${text}`;
  const names = ['token_embd.weight', ...HOSTILE.map((text, i) => `blk.${i}.${text.slice(0, 40)}.attn_q.weight`)];
  return gguf(metadata, names.map(tensor));
}

/** Opens a file in the page and returns what the page shows of it. */
async function openIn(page: Page, name: string, bytes: Uint8Array): Promise<void> {
  await page
    .getByLabel('Model file', { exact: false })
    .first()
    .setInputFiles({ name, mimeType: '', buffer: Buffer.from(bytes) });
}

test('the names and texts of a hostile model are shown as text everywhere', async () => {
  const { page, problems } = await open(app.browser, app.url);
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('dialog', () => problems.push('a dialog'));
  await openIn(page, '<img src=x onerror=globalThis.taken=1>.gguf', hostile());
  await page.locator('.tensors td.name', { hasText: 'blk.1.<img src=x onerror' }).waitFor({ state: 'attached' });
  const look = () =>
    page.evaluate(() => ({
      taken: Reflect.get(globalThis, 'taken') as unknown,
      elements: document.querySelectorAll(
        'main script, main img, main iframe, main object, main svg[onload], main [onerror]',
      ).length,
      addresses: [...document.querySelectorAll('main a')]
        .map((link) => link.getAttribute('href') ?? '')
        .filter((href) => !/^(#|blob:|data:)/.test(href)),
      wide: document.documentElement.scrollWidth > innerWidth,
      // Control characters and bidi marks are shown as escapes.
      hidden: /[\p{Cc}\p{Cf}]/u.test((document.body.textContent ?? '').replace(/[\n\t]/g, '')),
    }));
  expect(await look()).toEqual({ taken: undefined, elements: 0, addresses: [], wide: false, hidden: false });
  await page.locator('.tensors td.name', { hasText: '\\u202egpj.exe\\u202c' }).waitFor({ state: 'attached' });
  // Also in the block view's list of tensors.
  await page.getByRole('link', { name: 'Blocks' }).click();
  await page.getByRole('button', { name: 'From the open model' }).click();
  await page.getByLabel('Tensor').selectOption(`blk.1.${HOSTILE[1]!.slice(0, 40)}.attn_q.weight`);
  await page.getByLabel(/^Row of 2/).waitFor();
  expect(await look()).toEqual({ taken: undefined, elements: 0, addresses: [], wide: false, hidden: false });
  expect(asked.filter((url) => !url.startsWith(app.url) && !url.startsWith('blob:'))).toEqual([]);
  expect(problems).toEqual([]);
  await page.close();
});

test('an error with a hostile name is shown as text', async () => {
  const { page, problems } = await open(app.browser, app.url);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  const bytes = hostile();
  await openIn(page, '<b>bold</b>.gguf', bytes.subarray(0, bytes.length - 3000));
  const alert = page.getByRole('alert');
  await alert.waitFor();
  expect(await alert.locator('*').evaluateAll((all) => all.map(({ tagName }) => tagName))).not.toContain('B');
  expect(await page.evaluate(() => Reflect.get(globalThis, 'taken') as unknown)).toBeUndefined();
  expect(problems).toEqual([]);
  await page.close();
});
