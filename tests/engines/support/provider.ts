/**
 * How Vitest's browser mode opens its page in each of the engines. Its own providers include browsers; these are the
 * installed ones, of three different vendors.
 */

import { defineBrowserProvider } from '@vitest/browser';
import type { BrowserProvider } from 'vitest/node';
import { engineNames, openEngine, type Window } from '../../../tools/lib/engines.js';

/** The provider for `test.browser` of a project, whose instances name the engines. */
export const engines = () =>
  defineBrowserProvider({
    name: 'engines',
    supportedBrowser: engineNames,
    providerFactory: ({ config }): BrowserProvider => {
      const opened: Window[] = [];
      return {
        name: 'engines',
        supportsParallelism: false,
        getCommandsContext: () => ({}),
        openPage: async (_session, url) => {
          const window = await openEngine(config.browser.name);
          opened.push(window);
          await window.goto(url);
        },
        close: async () => {
          await Promise.all(opened.splice(0).map((window) => window.close()));
        },
      };
    },
  });
