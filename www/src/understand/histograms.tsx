import { useSignal } from '@preact/signals';
import type { FormatName, Histogram, TensorHistogram } from 'quantpress';
import { useEffect } from 'preact/hooks';
import { histogramsOf } from '../state/histograms.ts';
import { Twin } from '../ui/twin.tsx';

const HEIGHT = 64;

/** The histograms of a tensor's weights and of their errors. */
export function Histograms({ name, format }: { name: string; format: FormatName | undefined }) {
  const both = useSignal<TensorHistogram | undefined>(undefined);
  useEffect(() => {
    const stop = new AbortController();
    histogramsOf(name, format, stop.signal).then(
      (found) => (both.value = found),
      () => (both.value = undefined),
    );
    return () => stop.abort();
  }, [name, format]);
  return (
    <div class="histograms">
      <Bars title="Weights" of={both.value?.weights} kind="weights" />
      <Bars
        title={format ? `Errors in ${format}` : 'Errors: none, it is kept'}
        of={format && both.value?.errors}
        kind="errors"
      />
    </div>
  );
}

function Bars({ title, of, kind }: { title: string; of: Histogram | undefined; kind: string }) {
  const counts = of?.counts ?? [];
  // A square-root scale, so that the tails with the outliers are visible.
  const most = Math.sqrt(Math.max(1, ...counts));
  const width = of ? (of.max - of.min) / counts.length : 0;
  return (
    <figure>
      <figcaption class="small soft">{title}</figcaption>
      <svg
        viewBox={`0 0 ${Math.max(1, counts.length)} ${HEIGHT}`}
        height={HEIGHT}
        preserveAspectRatio="none"
        aria-hidden="true"
      >
        {counts.map((count, bin) => {
          const tall = (Math.sqrt(count) / most) * HEIGHT;
          return <rect key={bin} class={kind} x={bin} y={HEIGHT - tall} width={0.92} height={tall} />;
        })}
      </svg>
      <p class="small number soft ends">
        <span>{of ? short(of.min) : ' '}</span>
        <span>{of && short(of.max)}</span>
      </p>
      {of && (
        <Twin
          caption={title}
          columns={[['From'], ['To', 'number'], ['Count', 'number']]}
          items={counts}
          cells={(count, bin) => [short(of.min + bin * width), short(of.min + (bin + 1) * width), count]}
        />
      )}
    </figure>
  );
}

function short(value: number): string {
  return value.toPrecision(3).replace('-', '−');
}
