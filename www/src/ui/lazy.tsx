import { useSignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';

/** A part of the page whose code is loaded when it is needed. */
export type Part = () => Promise<{ readonly default: ComponentType }>;

/** Shows a part once it is loaded, or a message if that fails. */
export function Lazy({ part, name }: { part: Part; name: string }) {
  const View = useSignal<ComponentType | undefined>(undefined);
  const failed = useSignal(false);
  const load = (): void => {
    failed.value = false;
    part().then(
      (module) => (View.value = module.default),
      () => (failed.value = true),
    );
  };
  useEffect(load, [part]);
  if (failed.value) {
    return (
      <div class="error" role="alert">
        <p>{name} could not be loaded. Check the network.</p>
        <button type="button" class="small" onClick={load}>
          Try again
        </button>
      </div>
    );
  }
  return View.value ? <View.value /> : <p class="loading">Loading {name}…</p>;
}
