import type { Result } from '../state/job.ts';
import { bytes, duration } from '../text.ts';

/** The finished file: what it is, its hash, and the way to take it home. */
export function Done({ result: { name, file, report, url } }: { result: Result }) {
  return (
    <div class="done" role="status">
      <dl class="facts">
        <dt>File</dt>
        <dd>{name}</dd>
        <dt>Size</dt>
        <dd class="number">{bytes(file.size)}</dd>
        <dt>Time</dt>
        <dd class="number">{report.seconds < 10 ? `${report.seconds.toFixed(1)} s` : duration(report.seconds)}</dd>
        {report.bytesResumed > 0 && (
          <>
            <dt>Done before</dt>
            <dd class="number">{bytes(report.bytesResumed)}</dd>
          </>
        )}
        <dt>SHA-256</dt>
        <dd class="hash">{report.sha256}</dd>
      </dl>
      <p class="actions">
        {url ? (
          <a class="button primary" href={url} download={name}>
            Save the file
          </a>
        ) : (
          'It is in the file you chose.'
        )}
      </p>
    </div>
  );
}
