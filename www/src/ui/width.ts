import { useSignal, type Signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useLayoutEffect } from 'preact/hooks';

/** The current width of an element in pixels; 0 until it is mounted. */
export function useWidth(element: RefObject<HTMLElement | null>): Signal<number> {
  const width = useSignal(0);
  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return undefined;
    width.value = box.clientWidth;
    const observer = new ResizeObserver(() => {
      width.value = box.clientWidth;
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, [element, width]);
  return width;
}
