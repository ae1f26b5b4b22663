/** The ten lines of the README: what people copy is what is tested. */

import { readFileSync } from 'node:fs';

/** The code of the example. */
export const example = /<!-- example -->\n```js\n([\s\S]+?)```/.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';

/** What it prints. */
export const printed = /^2304 bytes, 4\.5 bits per weight, largest error 0\.00\d\d$/;
