import { effect } from '@preact/signals';
import { init } from 'quantpress';
import { useEffect } from 'preact/hooks';
import { replaceQuery, route } from '../route.ts';
import { sentence } from '../ui/sentence.ts';
import { Chart, Handle } from './chart.tsx';
import { Hex } from './hex.tsx';
import { Inspector } from './inspector.tsx';
import { layoutNames } from './layouts.ts';
import { Anatomy, Fields, Picker } from './picker.tsx';
import { Damage, Source } from './source.tsx';
import {
  after,
  before,
  byHand,
  bytes,
  chooseFormat,
  encodeAgain,
  format,
  levels,
  problem,
  start,
  table,
} from './state.ts';
import { figure } from './text.ts';
import './blocks.css';

/** The block view: weights, bytes, and the relation between them. */
export default function Blocks() {
  useEffect(() => {
    const wanted = layoutNames.find((name) => name === route.value.query.get('format'));
    init().then(
      () => {
        start();
        if (wanted && wanted !== format.value) chooseFormat(wanted);
      },
      (error) => (problem.value = sentence(error)),
    );
    // The URL contains the format, so that it can be shared.
    return effect(() => {
      const { value } = format;
      if (bytes.value.length && route.peek().view === 'blocks' && route.peek().query.get('format') !== value) {
        replaceQuery(new URLSearchParams({ format: value }));
      }
    });
  }, []);
  return (
    <article class="blocks">
      <header class="intro">
        <h2>Blocks</h2>
        <p class="soft">
          One block of a format, bit by bit. Drag a weight or edit a byte, and the engine that shrinks whole models
          updates the other.
        </p>
      </header>
      <Picker />
      <Anatomy />
      <div class="weights-head">
        <h3 id="weights-title">Weights</h3>
        <Source />
        <Damage />
      </div>
      {problem.value && (
        <p class="error" role="alert">
          {problem.value}
        </p>
      )}
      <section class="weights" aria-labelledby="weights-title">
        <Handle />
        <Chart />
        <p class="key soft small" aria-hidden="true">
          {before.value && (
            <span>
              <i class="key-before" /> before
            </span>
          )}
          <span>
            <i class="key-after" /> after
          </span>
        </p>
        <Twin />
      </section>
      <div class="under">
        <div>
          <section aria-labelledby="bytes-title" class="part">
            <header class="bytes-head">
              <h3 id="bytes-title">Bytes</h3>
              {byHand.value && before.value && (
                <button type="button" class="small" onClick={encodeAgain}>
                  Encode again
                </button>
              )}
            </header>
            <Hex />
            <p class="soft small">Arrow keys move, hexadecimal digits edit. The line under a byte shows its bits.</p>
          </section>
          <section aria-labelledby="fields-title" class="part fields-part">
            <h3 id="fields-title">Fields</h3>
            <Fields />
          </section>
        </div>
        <Inspector />
      </div>
    </article>
  );
}

/** The chart in figures. */
function Twin() {
  const [x, y, v] = [before.value, after.value, levels.value];
  return (
    <details class="twin">
      <summary>The weights as a table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
      <section class="scroll" tabIndex={0} aria-label="Weights of the block">
        <table>
          <thead>
            <tr>
              <th scope="col">Weight</th>
              {x && (
                <th scope="col" class="right">
                  Before
                </th>
              )}
              <th scope="col" class="right">
                After
              </th>
              {x && (
                <th scope="col" class="right">
                  Error
                </th>
              )}
              {v && (
                <th scope="col" class="right">
                  Level
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: table.value.weights }, (_, i) => (
              <tr key={i}>
                <th scope="row" class="number">
                  {i}
                </th>
                {x && <td class="right number">{figure(x[i] ?? 0)}</td>}
                <td class="right number">{figure(y[i] ?? 0)}</td>
                {x && <td class="right number">{figure((y[i] ?? 0) - (x[i] ?? 0), 3)}</td>}
                {v && <td class="right number">{figure(v[i] ?? 0)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}
