import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { sentence } from '../ui/sentence.ts';
import { csv, png, save } from './export.ts';
import type { Job } from './job.ts';
import type { Kind } from './steps.ts';

interface PanelProps<K extends Kind> {
  readonly job: Job<K>;
  readonly title: string;
  readonly about: ComponentChildren;
  /** The options of the benchmark. */
  readonly choices?: ComponentChildren;
  /** The result as a sentence, when it is known. */
  readonly verdict?: ComponentChildren;
  readonly chart: ComponentChildren;
  readonly table: ComponentChildren;
}

/** A benchmark: its description, progress, chart, the same data as a table, and its export. */
export function Panel<K extends Kind>({ job, title, about, choices, verdict, chart, table }: PanelProps<K>) {
  const figure = useRef<HTMLElement>(null);
  const problem = useSignal<string | undefined>(undefined);
  const { state, progress, rows } = job;
  const running = state.value === 'running';
  const name = `quantpress-${job.kind}`;
  const take = (make: () => Promise<Blob> | Blob, ending: string) => async (): Promise<void> => {
    try {
      save(`${name}.${ending}`, await make());
      problem.value = undefined;
    } catch (error) {
      problem.value = sentence(error);
    }
  };
  const picture = (): Promise<Blob> => {
    const svg = figure.current?.querySelector<SVGSVGElement>('svg[role="img"]');
    if (!svg) throw new Error('there is no chart yet');
    return png(svg);
  };
  return (
    <section class="bench" aria-labelledby={`bench-${job.kind}`} aria-busy={running}>
      <header>
        <h3 id={`bench-${job.kind}`}>{title}</h3>
        <p class="soft">{about}</p>
      </header>
      <div class="actions">
        {running ? (
          <button type="button" onClick={job.stop}>
            Stop
          </button>
        ) : (
          <button type="button" class={rows.value.length ? undefined : 'primary'} onClick={() => void job.start()}>
            {rows.value.length ? 'Run again' : 'Run'}
          </button>
        )}
        {choices}
        <progress
          class={running ? undefined : 'gone'}
          max={1}
          value={progress.value}
          aria-label={`Progress of ${title}`}
          aria-hidden={!running}
        />
      </div>
      {(job.problem.value ?? problem.value) && (
        <p class="error" role="alert">
          {job.problem.value ?? problem.value}
        </p>
      )}
      <p class="finding" role="status">
        {state.value === 'stopped' ? 'Stopped early. ' : ''}
        {state.value === 'done' && verdict}
      </p>
      <figure ref={figure}>{chart}</figure>
      {rows.value.length > 0 && (
        <>
          <details class="twin">
            <summary>The chart as a table</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable from the keyboard */}
            <section class="scroll" tabIndex={0} aria-label={`${title}, the figures`}>
              {table}
            </section>
          </details>
          <div class="actions take">
            <span class="soft small">Export:</span>
            <button
              type="button"
              class="small"
              onClick={take(() => new Blob([csv(rows.value)], { type: 'text/csv' }), 'csv')}
            >
              CSV
            </button>
            <button
              type="button"
              class="small"
              onClick={take(
                () => new Blob([JSON.stringify(rows.value, undefined, 1)], { type: 'application/json' }),
                'json',
              )}
            >
              JSON
            </button>
            <button type="button" class="small" onClick={take(picture, 'png')}>
              PNG
            </button>
          </div>
        </>
      )}
    </section>
  );
}
