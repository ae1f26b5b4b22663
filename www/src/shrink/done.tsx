import { discard, type Result } from '../state/job.ts';
import { bytes, duration } from '../text.ts';
import { visible } from '../ui/visible.ts';

/** The finished file: its properties, the button to save it, and its hash. */
export function Done({ result: { name, file, report, url } }: { result: Result }) {
  return (
    <div class="done" role="status">
      <dl class="facts">
        <dt>File</dt>
        <dd>{visible(name)}</dd>
        <dt>Size</dt>
        <dd class="number">
          {bytes(file.size)}, in {report.seconds < 10 ? `${report.seconds.toFixed(1)} s` : duration(report.seconds)}
        </dd>
        {report.bytesResumed > 0 && (
          <>
            <dt>Resumed</dt>
            <dd class="number">{bytes(report.bytesResumed)}</dd>
          </>
        )}
        <dt>SHA-256</dt>
        <dd class="hash">{report.sha256}</dd>
      </dl>
      {report.plain && <p class="note small">A plain container: no program can run it as it is.</p>}
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

/** The finished file of a model that was open before: it may not be saved yet, so only the user discards it. */
export function Earlier({ result }: { result: Result }) {
  const { name, of, url } = result;
  return (
    <div class="note small earlier">
      <p>
        {visible(name)} was made from {visible(of.fileName)}, which was open before.
        {url && ' The next result replaces it.'}
      </p>
      <p class="actions">
        {url && (
          <a class="small" href={url} download={name}>
            Save {visible(name)}
          </a>
        )}
        <button type="button" class="plain small" onClick={() => void discard(result)}>
          Discard
        </button>
      </p>
    </div>
  );
}
