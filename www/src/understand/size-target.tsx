import { points, total } from '../state/analysis.ts';
import { busy } from '../state/model.ts';
import { recipe } from '../state/recipe.ts';
import { aim, aimAt, mix, mixTrouble, take, taking } from '../state/target.ts';
import { bytes, errorText } from '../text.ts';
import type { Scale } from '../ui/scale.ts';
import { MARGIN } from './chart-margin.ts';

interface Props {
  domain: readonly [number, number];
  x: Scale;
  width: number;
  height: number;
  /** Called with the pointer's position over the chart, or `undefined` when it leaves. */
  look: (at: readonly [x: number, y: number] | undefined) => void;
}

/** Steps of the slider. */
const STEPS = 400;
const THUMB = 18;

/** The target size: a line across the chart, and a slider below that moves it. */
export function SizeTarget({ domain, x, width, height, look }: Props) {
  const size = aim.value ?? total.value?.size ?? domain[0];
  const aimIn = (wanted: number): void => aimAt(Math.min(Math.max(wanted, domain[0]), domain[1]));
  const left = x(Math.min(Math.max(size, domain[0]), domain[1]));
  const drag = (event: PointerEvent): void => {
    if (busy.value) return;
    const area = event.currentTarget as HTMLElement;
    area.setPointerCapture(event.pointerId);
    aimIn(x.invert(event.clientX - area.getBoundingClientRect().left));
  };
  return (
    <div class="target">
      <div
        class="area"
        aria-hidden="true"
        style={{ width: `${width}px`, height: `${height - MARGIN.bottom}px` }}
        onPointerDown={drag}
        onPointerMove={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          look([event.clientX - box.left, event.clientY - box.top]);
          if (event.buttons === 1) drag(event);
        }}
        onPointerLeave={() => look(undefined)}
      >
        <i style={{ left: `${left}px` }} />
      </div>
      <input
        type="range"
        aria-label="Size target"
        aria-valuetext={bytes(size)}
        disabled={busy.value}
        style={{ marginLeft: `${MARGIN.left - THUMB / 2}px`, width: `${width - MARGIN.left - MARGIN.right + THUMB}px` }}
        min={domain[0]}
        max={domain[1]}
        step={(domain[1] - domain[0]) / STEPS}
        value={size}
        onInput={(event) => aimIn(event.currentTarget.valueAsNumber)}
      />
      <fieldset class="small" disabled={busy.value}>
        <legend class="visually-hidden">Choice for the size</legend>
        <span>
          In at most <strong class="number">{bytes(size)}</strong>:
        </span>
        <Taking what="preset" label="the best preset" size={size} />
        <Taking what="mix" label="the best mix of types" size={size} />
      </fieldset>
      <p class="gain small" role="status">
        {mixTrouble.value ?? <Gain />}
      </p>
    </div>
  );
}

function Taking({ what, label, size }: { what: 'preset' | 'mix'; label: string; size: number }) {
  return (
    <label>
      <input type="radio" name="taking" checked={taking.value === what} onChange={() => take(what, size)} /> {label}
    </label>
  );
}

/** The improvement of the mix over the best preset that fits. */
function Gain() {
  const error = total.value?.error;
  const nearest = mix.value?.nearestPreset?.name;
  const other = points.value.find(({ name }) => name === nearest)?.error;
  if (!error || !other || recipe.value !== mix.value?.recipe) return null;
  return (
    <span class="soft">
      Weight error {errorText(error)}; {nearest} has {errorText(other)}
    </span>
  );
}
