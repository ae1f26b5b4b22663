import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { busy, type From, openAddress, opened, opening, openFiles, openSample, fail } from '../state/model.ts';
import { listed } from '../ui/visible.ts';
import { cleanAddress, goToNetwork, reachesNetwork } from './reach.ts';
import { over } from './window.ts';

/** Opens a model: dropped, selected, from a URL, or the built-in sample. */
export function Drop() {
  const asking = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (event: Event & { readonly currentTarget: HTMLInputElement }): void => {
    void openFiles([...(event.currentTarget.files ?? [])]);
    event.currentTarget.value = '';
  };
  const current = opened.value;
  return (
    <div class={over.value ? 'drop over' : 'drop'}>
      <p>
        <strong>{listed(current?.fileName ?? opening.value?.fileName ?? 'No model is open')}</strong>
        <br />
        <span class="soft" aria-live="polite">
          {story()}
        </span>
      </p>
      <div class="actions">
        <span class="soft small">Open</span>
        <button type="button" disabled={busy.value} onClick={() => input.current?.click()}>
          A file
        </button>
        <button type="button" disabled={busy.value} onClick={() => folder.current?.click()}>
          A folder
        </button>
        <button
          type="button"
          disabled={busy.value}
          aria-expanded={asking.value}
          onClick={() => (asking.value = !asking.value)}
        >
          A URL
        </button>
        {!opening.value && current?.from !== 'sample' && (
          <button type="button" class="plain" disabled={busy.value} onClick={() => void openSample()}>
            Use the sample
          </button>
        )}
      </div>
      {asking.value && <Address taken={() => (asking.value = false)} />}
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        multiple
        accept=".gguf,.safetensors,.json"
        tabIndex={-1}
        aria-label="Model file"
        onChange={take}
      />
      <input
        ref={folder}
        class="visually-hidden"
        type="file"
        {...{ webkitdirectory: true }}
        tabIndex={-1}
        aria-label="Folder of a model"
        onChange={take}
      />
    </div>
  );
}

const STORY: Record<From, string> = {
  sample:
    'The built-in sample, a small model trained on Moby-Dick. Drop your own here: GGUF or safetensors, of any size.',
  disk: 'From this computer, and read in place. Drop another one anywhere on this page.',
  network: 'Read from its URL in parts, as needed.',
};

/** The source of the open model, or the progress of opening one. */
function story(): string {
  const [current, next] = [opened.value, opening.value];
  // The sample opens so fast that showing progress would only flicker.
  if (next) return !current && next.from === 'sample' ? STORY.sample : `Reading the header of ${listed(next.what)}…`;
  return current ? STORY[current.from] : 'Open a file, a folder or a URL, drop one here, or use the sample.';
}

/** The form for a URL; `taken` is called when it is being opened. */
function Address({ taken }: { taken: () => void }) {
  const text = useSignal('');
  const open = (event: Event): void => {
    event.preventDefault();
    const address = cleanAddress(text.value);
    if (!address) fail('That is not the URL of a file. It must begin with https:// and end with a file name.');
    else if (reachesNetwork) {
      void openAddress(address);
      taken();
    } else goToNetwork(address);
  };
  return (
    <form class="address" noValidate onSubmit={open}>
      <input
        type="url"
        placeholder="https://huggingface.co/…/model-f16.gguf"
        aria-label="URL of a model file"
        ref={(field) => field?.focus()}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <button type="submit" class="primary">
        Open
      </button>
      <p class="soft small">
        {reachesNetwork
          ? 'Only the parts that are needed are requested. Nothing else is sent.'
          : 'This page cannot reach the network. Opening a URL switches to a page that can.'}
      </p>
    </form>
  );
}
