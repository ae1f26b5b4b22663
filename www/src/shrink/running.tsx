import { cancel, type Job, pause } from '../state/job.ts';
import { bytes, duration } from '../text.ts';

/** The progress, speed and remaining time of the job. */
export function Running({ job: { progress, kept } }: { job: Job & { state: 'running' } }) {
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
        <dd class="number">{progress ? `${progress.tensorsDone} of ${progress.tensorsTotal}` : ' '}</dd>
        <dt>Speed</dt>
        <dd class="number">{progress?.bytesPerSecond ? `${bytes(progress.bytesPerSecond)}/s` : ' '}</dd>
        <dt>Left</dt>
        <dd class="number">{progress ? duration(progress.eta) : ' '}</dd>
        {progress && progress.bytesResumed > 0 && (
          <>
            <dt>Resumed</dt>
            <dd class="number">{bytes(progress.bytesResumed)}</dd>
          </>
        )}
      </dl>
      <p class="actions">
        {kept && (
          <button type="button" onClick={pause}>
            Pause
          </button>
        )}
        <button type="button" class="plain" onClick={cancel}>
          Cancel
        </button>
      </p>
    </>
  );
}
