import { expect, test } from 'vitest';
import { jsonText } from '../../dist/io/json-text.js';

const element = (index: number) => ({
  name: `a\n"${index}\u{1f40b}`,
  error: { rmse: index / 3, sqnrDb: Infinity },
  list: [],
});

test.each([
  ['nothing', {}],
  ['empty lists and objects', { list: [], object: {}, text: 'a\nb', none: undefined, null: null }],
  ['one element', { before: 1, list: [element(0)], after: { list: [1, [2, {}]] } }],
  ['elements that have no JSON', { list: [undefined, null, NaN] }],
  ['many elements', { size: 1e20, tensors: Array.from({ length: 5000 }, (_, index) => element(index)), last: true }],
  [
    'as many elements as are converted at once',
    { tensors: Array.from({ length: 2048 }, (_, index) => element(index)) },
  ],
])('pieces of JSON with %s equal JSON.stringify', (_, value) => {
  expect([...jsonText(value)].join('')).toBe(JSON.stringify(value, null, 2));
});
