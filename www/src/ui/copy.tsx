import { useSignal } from '@preact/signals';

/** A text to take along, and a button that copies it. */
export function Copyable({ label, text }: { label: string; text: string }) {
  const state = useSignal('');
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      state.value = 'Copied';
    } catch {
      state.value = 'Select it and copy';
    }
    setTimeout(() => (state.value = ''), 2000);
  };
  return (
    <div class="copyable">
      <span class="what soft small">{label}</span>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
      <button type="button" class="copy small" aria-label={`Copy: ${label}`} onClick={() => void copy()}>
        <span aria-live="polite">{state.value || 'Copy'}</span>
      </button>
    </div>
  );
}
