import { Compare } from './choose/compare.tsx';
import { RecipeCard } from './choose/recipe.tsx';
import { TakeAlong } from './choose/take-along.tsx';
import { Drop } from './open/drop.tsx';
import { Obstacle } from './open/obstacle.tsx';
import { Shrink } from './shrink/shrink.tsx';
import { standing } from './state/analysis.ts';
import { notice, problem } from './state/model.ts';
import { Try } from './try/section.tsx';
import { Chart } from './understand/chart.tsx';
import { Heatmap } from './understand/heatmap.tsx';
import { Offenders } from './understand/offenders.tsx';
import { SizeBar } from './understand/size-bar.tsx';
import { TensorPanel } from './understand/tensor-panel.tsx';
import { TensorTable } from './understand/tensor-table.tsx';
import { Verdict } from './understand/verdict.tsx';

/** The first view: a model, the result of a recipe, and the smaller file. */
export function ShrinkPage() {
  // Without a model that can be converted there are no tensors to show.
  const empty = standing.value === 'none' || standing.value === 'unusable';
  return (
    <>
      <Drop />
      {problem.value && (
        <p class="error" role="alert">
          {problem.value}
        </p>
      )}
      <Obstacle />
      {notice.value && (
        <p class="note small" role="status">
          {notice.value}
        </p>
      )}
      <Verdict />
      <SizeBar />
      <div class="work">
        <Chart />
        <aside class="side" aria-label="Recipe and conversion">
          <RecipeCard />
          <Shrink />
        </aside>
        {!empty && (
          <div class="where">
            <Heatmap />
            <TensorPanel />
            <Offenders />
          </div>
        )}
      </div>
      <Try />
      {!empty && (
        <>
          <Compare />
          <TensorTable />
        </>
      )}
      <TakeAlong />
    </>
  );
}
