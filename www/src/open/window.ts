/** Handles drops on the whole window, since a file dropped outside the box would otherwise replace the page. */

import { signal } from '@preact/signals';
import { fail, openFiles } from '../state/model.ts';
import { sentence } from '../ui/sentence.ts';
import { filesOf } from './files.ts';

/** Whether files are over the window. */
export const over = signal(false);

/** Accepts files that are dropped anywhere, in any view. The browser handles other data (selected text). */
export function takeDrops(): void {
  addEventListener('dragover', (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    event.preventDefault();
    over.value = true;
  });
  addEventListener('dragleave', (event) => {
    // Only when the pointer leaves the window: this event also fires between elements.
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
