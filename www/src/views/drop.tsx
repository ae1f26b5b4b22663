import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { opened, opening, openFile, openSample } from '../state.ts';

/** Where a model comes in: dropped, chosen, or the built-in sample. */
export function Drop() {
  const over = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null | undefined): void => {
    const file = files?.[0];
    if (file) void openFile(file);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a short cut; the button does the same
    <div
      class={over.value ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={(event) => {
        event.preventDefault();
        over.value = false;
        take(event.dataTransfer?.files);
      }}
    >
      <p>
        <strong>{opened.value ? opened.value.fileName : 'Drop a GGUF model here'}</strong>
        <br />
        <span class="soft" aria-live="polite">
          {opening.value
            ? 'Reading its header…'
            : opened.value?.sample
              ? sampleStory
              : 'F32, F16 or BF16 weights, of any size'}
        </span>
      </p>
      <div class="actions">
        <button type="button" onClick={() => input.current?.click()}>
          Choose a file
        </button>
        {!opened.value?.sample && (
          <button type="button" onClick={() => void openSample()}>
            Use the sample
          </button>
        )}
      </div>
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        accept=".gguf"
        tabIndex={-1}
        aria-label="Model file"
        onChange={(event) => take(event.currentTarget.files)}
      />
    </div>
  );
}

const sampleStory = 'The built-in sample: a small model trained on Moby-Dick. Drop your own GGUF file here.';
