import { useSignal } from '@preact/signals';
import { visible, whole } from './visible.ts';

/** Characters that are shown at first. */
const SHOWN = 400;

/** A text of any length from a file: its beginning, and all of it on demand. */
export function Long({ text }: { text: string }) {
  const all = useSignal(false);
  if (text.length <= SHOWN) return <>{visible(text)}</>;
  return (
    <>
      {visible(all.value ? text : whole(text, SHOWN))}
      {!all.value && '…'}{' '}
      <button type="button" class="plain small" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>
        {all.value ? 'Show less' : `Show all ${text.length} characters`}
      </button>
    </>
  );
}
