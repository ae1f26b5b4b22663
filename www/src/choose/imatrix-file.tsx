import { useRef } from 'preact/hooks';
import { busy, opened } from '../state/model.ts';
import { imatrix, useImatrix } from '../state/recipe.ts';

/** The importance matrix file, as written by llama-imatrix and required by the smallest formats. */
export function ImatrixFile() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div class="imatrix small">
      <span>
        Importance matrix: <strong>{imatrix.value?.name ?? 'none'}</strong>
      </span>
      {imatrix.value ? (
        <button type="button" class="small" disabled={busy.value} onClick={() => void useImatrix(undefined)}>
          Remove
        </button>
      ) : (
        <>
          <button type="button" class="small" disabled={busy.value} onClick={() => input.current?.click()}>
            Choose…
          </button>
          {opened.value?.from === 'sample' && (
            <button type="button" class="small" disabled={busy.value} onClick={() => void useImatrix('sample')}>
              Use the sample’s
            </button>
          )}
        </>
      )}
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        tabIndex={-1}
        aria-label="Importance matrix file"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (file) void useImatrix(file);
        }}
      />
    </div>
  );
}
