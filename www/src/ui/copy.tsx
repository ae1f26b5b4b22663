import { useSignal } from '@preact/signals';
import { whole } from './visible.ts';

/** The number of characters shown; all are copied. */
const SHOWN = 20_000;

/** A text with a button that copies it. */
export function Copyable({ label, text }: { label: string; text: string }) {
  const state = useSignal('');
  const all = useSignal(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      state.value = 'Copied';
    } catch {
      state.value = 'Select it and copy';
      all.value = true;
    }
    setTimeout(() => (state.value = ''), 2000);
  };
  return (
    <div class="copyable">
      <span class="what soft small">{label}</span>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
      <pre tabIndex={0}>
        <code>{all.value || text.length <= SHOWN ? text : `${whole(text, SHOWN)}…`}</code>
      </pre>
      <button type="button" class="copy small" aria-label={`Copy: ${label}`} onClick={() => void copy()}>
        <span aria-live="polite">{state.value || 'Copy'}</span>
      </button>
    </div>
  );
}
