import { Drop } from './views/drop.tsx';
import { Presets } from './views/presets.tsx';
import { Press } from './views/press.tsx';
import { Shrink } from './views/shrink.tsx';
import { Tensors } from './views/tensors.tsx';
import { Verdict } from './views/verdict.tsx';
import { opened, problem } from './state.ts';

export function App() {
  return (
    <div class="page">
      <header class="masthead">
        <h1>Quantpress</h1>
        <p class="soft">shrinks model weights where they already are</p>
        <p class="offline">Nothing leaves this computer</p>
      </header>
      <main>
        <Drop />
        {problem.value && (
          <p class="error" role="alert">
            {problem.value}
          </p>
        )}
        {opened.value && (
          <>
            <Verdict />
            <Press />
            <div class="columns">
              <Presets />
              <Shrink />
            </div>
            <Tensors />
          </>
        )}
      </main>
      <footer class="soft">
        The file saved here is, byte for byte, the one <code>llama-quantize</code> writes. Everything runs in this tab,
        in WebAssembly.
      </footer>
    </div>
  );
}
