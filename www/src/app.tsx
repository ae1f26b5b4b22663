import { useEffect, useRef } from 'preact/hooks';
import { reachesNetwork } from './open/reach.ts';
import { view } from './route.ts';
import { ShrinkPage } from './shrink-page.tsx';
import { Lazy, type Part } from './ui/lazy.tsx';

/** The views other than the first: each is loaded when it is opened. */
const PARTS: Record<string, { readonly label: string; readonly part: Part }> = {
  blocks: { label: 'Blocks', part: () => import('./blocks/index.tsx') },
  benchmarks: { label: 'Benchmarks', part: () => import('./benchmarks/index.tsx') },
};

export function App() {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const current = PARTS[view.value];
  useEffect(() => {
    document.title = current ? `${current.label} · Quantpress` : 'Quantpress: shrink model weights in your browser';
    // After following a link, focus moves to the new view, but not on the first load.
    if (!first.current) main.current?.focus({ preventScroll: true });
    if (!first.current) scrollTo(0, 0);
    first.current = false;
  }, [current]);
  return (
    <div class="page">
      <a class="button skip" href={`#/${view.value}`} onClick={(event) => skip(event, main.current)}>
        Skip to the content
      </a>
      <Masthead />
      <main ref={main} tabIndex={-1}>
        {current ? <Lazy key={current.label} part={current.part} name={current.label} /> : <ShrinkPage />}
      </main>
      <footer class="soft">
        The file saved here is, byte for byte, the one <code>llama-quantize</code> writes. Everything runs in this tab,
        in WebAssembly.
      </footer>
    </div>
  );
}

function Masthead() {
  const link = (name: string, label: string) => (
    <a href={`#/${name}`} aria-current={(PARTS[view.value] ? view.value : '') === name ? 'page' : undefined}>
      {label}
    </a>
  );
  return (
    <header class="masthead">
      <h1>
        <a href="#/">Quantpress</a>
      </h1>
      <nav aria-label="Views">
        {link('', 'Shrink')}
        {Object.entries(PARTS).map(([name, { label }]) => link(name, label))}
      </nav>
      <Reach />
    </header>
  );
}

/** States what the page can reach; the browser enforces it. */
function Reach() {
  if (!reachesNetwork) return <p class="promise">Nothing leaves this computer</p>;
  return (
    <p class="promise open">
      Reads from the URL you entered, sends nothing · <a href={`./${location.hash}`}>go offline</a>
    </p>
  );
}

function skip(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.focus();
}
