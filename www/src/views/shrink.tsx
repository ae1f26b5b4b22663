import { cancel, chosen, job, plan, shrink, type Job } from '../state.ts';
import { bytes, duration } from '../text.ts';

/** The press itself: start, watch, stop, take the result. */
export function Shrink() {
  const current = job.value;
  return (
    <section class="shrink" aria-labelledby="shrink">
      <h2 id="shrink">Shrink</h2>
      {current.state === 'running' ? (
        <Running progress={current.progress} />
      ) : (
        <>
          {current.state === 'done' && <Done job={current} />}
          {current.state === 'failed' && (
            <p class="error" role="alert">
              {current.message}
            </p>
          )}
          {current.state === 'idle' && (
            <p class="soft">Runs in this tab, on every core. The page stays usable, and you can stop at any time.</p>
          )}
          <p class="actions">
            <button
              type="button"
              class={current.state === 'done' ? undefined : 'primary'}
              disabled={!plan.value}
              onClick={() => void shrink()}
            >
              {current.state === 'done' ? 'Shrink again' : `Shrink to ${chosen.value}`}
            </button>
          </p>
        </>
      )}
    </section>
  );
}

function Running({ progress }: { progress: Extract<Job, { state: 'running' }>['progress'] }) {
  const share = progress ? progress.bytesDone / progress.bytesTotal : 0;
  return (
    <>
      <progress max={1} value={share} aria-label="Shrinking" />
      <dl class="facts">
        <dt>Read</dt>
        <dd class="number">
          {progress ? `${bytes(progress.bytesDone)} of ${bytes(progress.bytesTotal)}` : 'Starting workers…'}
        </dd>
        <dt>Tensors</dt>
        <dd class="number">{progress ? `${progress.tensorsDone} of ${progress.tensorsTotal}` : ''}</dd>
        <dt>Speed</dt>
        <dd class="number">{progress?.bytesPerSecond ? `${bytes(progress.bytesPerSecond)}/s` : ''}</dd>
        <dt>Left</dt>
        <dd class="number">{progress?.eta === undefined ? '' : duration(progress.eta)}</dd>
      </dl>
      <p class="actions">
        <button type="button" onClick={cancel}>
          Cancel
        </button>
      </p>
    </>
  );
}

function Done({ job: { saved, seconds } }: { job: Extract<Job, { state: 'done' }> }) {
  return (
    <div role="status">
      <dl class="facts">
        <dt>File</dt>
        <dd>{saved.name}</dd>
        <dt>Size</dt>
        <dd class="number">{bytes(saved.size)}</dd>
        <dt>Time</dt>
        <dd class="number">{seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds)}</dd>
        {saved.sha256 && (
          <>
            <dt>SHA-256</dt>
            <dd class="hash">{saved.sha256}</dd>
          </>
        )}
      </dl>
      {saved.url && (
        <p class="actions">
          <a class="button primary" href={saved.url} download={saved.name}>
            Save the file
          </a>
        </p>
      )}
    </div>
  );
}
