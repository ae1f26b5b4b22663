import { result } from '../state/job.ts';
import { opened } from '../state/model.ts';
import { digits, percent } from '../text.ts';
import { visible } from '../ui/visible.ts';
import { agreed, prompt, setPrompt, stopTrying, texts, trouble, tryIt, trying, type Trying } from './state.ts';
import './try.css';

const DOING: Record<Exclude<Trying, 'idle'>, string> = {
  converting: 'Converting the original to GGUF, in memory…',
  loading: 'Loading both models…',
  writing: 'Both continue your prompt greedily…',
  reading: 'Both read the sample text…',
};

/** The outputs of the original and the result, side by side. */
export default function TryIt() {
  const busy = trying.value !== 'idle';
  return (
    <>
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          void tryIt();
        }}
      >
        <label>
          <span class="small soft">Prompt for both</span>
          <input
            type="text"
            value={prompt.value}
            disabled={busy}
            onInput={(event) => setPrompt(event.currentTarget.value)}
          />
        </label>
        {busy ? (
          <button type="button" onClick={stopTrying}>
            Stop
          </button>
        ) : (
          <button type="submit" class="primary" disabled={!result.value}>
            Try both
          </button>
        )}
      </form>
      <p class="soft small" role="status">
        {trying.value === 'idle' ? ' ' : DOING[trying.value]}
      </p>
      {trouble.value && (
        <p class="error" role="alert">
          The models could not be run here: {trouble.value}
        </p>
      )}
      <div class="sides">
        <Side title={visible(opened.value?.fileName ?? 'The original')} text={texts.value[0]} other={texts.value[1]} />
        <Side title={visible(result.value?.name ?? 'The result')} text={texts.value[1]} other={texts.value[0]} />
      </div>
      <Figures />
    </>
  );
}

function Side({ title, text, other }: { title: string; text: string; other: string }) {
  const shared = sharedLength(text, other);
  return (
    <figure>
      <figcaption class="mono">{title}</figcaption>
      <p>
        <span class="soft">{prompt.value}</span>
        {text.slice(0, shared)}
        {shared < text.length && <mark>{text.slice(shared)}</mark>}
      </p>
    </figure>
  );
}

/** The number of leading characters that both have in common. A shorter output does not differ yet. */
function sharedLength(a: string, b: string): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at === b.length ? a.length : at;
}

function Figures() {
  const now = agreed.value;
  if (!now) return null;
  const [original, shrunk] = now.perplexity;
  return (
    <dl class="facts agreement">
      <dt>Perplexity of the sample text</dt>
      <dd class="number">
        {digits(original, 4)} → {digits(shrunk, 4)}
      </dd>
      <dt>Same next token</dt>
      <dd class="number">{percent(now.sameTop)}</dd>
      <dt>Divergence (KL)</dt>
      <dd class="number">{now.divergence.toFixed(4)} nats</dd>
      <dt>Tokens scored</dt>
      <dd class="number">
        {now.scored} of {now.all}
      </dd>
    </dl>
  );
}
