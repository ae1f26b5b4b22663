/**
 * fast-check generates the same values in every run, so that a failure is caused by a change. `npm run fuzz` searches
 * for new failures.
 */

import fc from 'fast-check';

fc.configureGlobal({ seed: 1 });
