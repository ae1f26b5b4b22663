/** Drops: the whole window takes them, since a file that falls beside the box would replace the page. */

import { signal } from '@preact/signals';
import { fail, openFiles } from '../state/model.ts';
import { sentence } from '../ui/sentence.ts';
import { filesOf } from './files.ts';

/** Whether files are over the window. */
export const over = signal(false);

/** Takes files that are dropped anywhere, in any view. What is not files (selected text) is left to the browser. */
export function takeDrops(): void {
  addEventListener('dragover', (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    over.value = true;
  });
  addEventListener('dragleave', (event) => {
    // Only when the window is left: within it one element after the other is.
    if (event.relatedTarget === null) over.value = false;
  });
  addEventListener('drop', (event) => {
    const { dataTransfer } = event;
    if (!dataTransfer || !hasFiles(dataTransfer)) return;
    event.preventDefault();
    over.value = false;
    filesOf(dataTransfer).then(open, (error: unknown) => fail(sentence(error)));
    // Models are shown in the first view.
    if (!/^#?\/?(\?|$)/.test(location.hash)) location.hash = '#/';
  });
}

function open(files: readonly File[]): Promise<void> {
  if (files.length === 0) fail('There are no files in what was dropped.');
  return openFiles(files);
}

function hasFiles(data: DataTransfer | null): boolean {
  return data?.types.includes('Files') ?? false;
}
