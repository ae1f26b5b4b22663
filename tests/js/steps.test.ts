/** The order of the steps of `npm test`. */

import { expect, test } from 'vitest';
import { ownStep, runSteps, type Step } from '../../tools/lib/steps.js';
import { Stop } from '../../tools/lib/say.js';
import { quickTests } from '../../tools/lib/quick-tests.js';

/** Steps that note when they begin and end. */
function noted() {
  const events: string[] = [];
  const step = (name: string, code = 0, wait: Promise<unknown> = Promise.resolve()): Step => {
    const run = async () => {
      events.push(`${name} begins`);
      await wait;
      events.push(`${name} ends`);
      return code;
    };
    return { name, run };
  };
  return { events, step };
}

test('a chain starts as soon as the one it follows has ended, and others run meanwhile', async () => {
  const { events, step } = noted();
  let ready = () => {};
  const native = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const build = { steps: [step('build', 0, native)] };
  const open = ownStep('open', async () => ready());
  const chains = [build, { steps: [step('pages')], after: build }, { steps: [step('native'), open] }];
  expect(await runSteps(chains, [step('last')])).toBe(true);
  expect(events).toEqual([
    ...['build begins', 'native begins', 'native ends', 'build ends'],
    ...['pages begins', 'pages ends', 'last begins', 'last ends'],
  ]);
});

test('what follows a failed chain is not run, and everything else is', async () => {
  const { events, step } = noted();
  const build = {
    steps: [
      ownStep('build', () => {
        throw new Stop('no compiler');
      }),
    ],
  };
  const after = { steps: [step('pages')], after: build };
  const chains = [build, after, { steps: [step('more')], after }, { steps: [step('lint', 1), step('native')] }];
  expect(await runSteps(chains, [step('last')])).toBe(false);
  expect(events.filter((event) => event.endsWith('ends'))).toEqual(['lint ends', 'native ends', 'last ends']);
});

test('the quick tests run no other program', () => {
  const names = quickTests();
  expect(names.length).toBeGreaterThan(30);
  expect(names).toContain('tests/js/golden.test.ts');
  for (const other of ['cli', 'oracle', 'many-tensors', 'memory'])
    expect(names).not.toContain(`tests/js/${other}.test.ts`);
});
