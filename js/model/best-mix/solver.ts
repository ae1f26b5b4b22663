/** The choice of one option for each of many items, so that the loss is least and the cost within a budget. */

/** What an item can be. */
export interface Option {
  /** Whole, from zero up. */
  cost: number;
  /** From zero up. */
  loss: number;
}

/** One option for each item, by its index, and the sums. */
export interface Selection {
  picks: number[];
  cost: number;
  loss: number;
}

/** A selection, and a proof of how good it is. */
export interface Solution extends Selection {
  /** No selection within the budget has a smaller loss than this. */
  bound: number;
}

/** A step on the lower convex hull of an item: from one option to a larger one that loses less. */
interface Step {
  item: number;
  to: number;
  cost: number;
  gain: number;
}

/**
 * Solves the multiple-choice knapsack problem: up the lower convex hulls (Lagrange), which also gives the bound; where that
 * is not close to it, by dynamic programming over costs in coarse units, exact where those are fine enough. Each result is
 * improved by changing two items at a time as long as that helps. It depends on nothing but its arguments.
 *
 * @returns Nothing if no selection is within the budget. Never worse than any of `starts` that is.
 */
export function solve(items: readonly (readonly Option[])[], budget: number, starts: number[][]): Solution | undefined {
  const cheapest = items.map((options) => indexOfLeast(options, ({ cost, loss }) => [cost, loss]));
  if (costOf(items, cheapest) > budget) return undefined;
  const useful = items.map(efficient);
  const best = (a: number[], b: number[]) => (lossOf(items, b) < lossOf(items, a) ? b : a);
  const { picks: climbed, bound } = climb(items, cheapest, budget);
  const fitting = starts.filter((start) => costOf(items, start) <= budget);
  let picks = improve(items, useful, fitting.reduce(best, climbed), budget);
  if (lossOf(items, picks) > bound * CLOSE) {
    picks = best(picks, improve(items, useful, program(items, useful, cheapest, budget), budget));
  }
  return { picks, cost: costOf(items, picks), loss: lossOf(items, picks), bound };
}

/** Nobody can tell what is so close to the bound from the best there is. */
const CLOSE = 1.0001;

/** The sums of a selection. */
export function costOf(items: readonly (readonly Option[])[], picks: readonly number[]): number {
  return items.reduce((sum, options, item) => sum + (options[picks[item] ?? 0]?.cost ?? 0), 0);
}

/** See {@link costOf}. */
export function lossOf(items: readonly (readonly Option[])[], picks: readonly number[]): number {
  return items.reduce((sum, options, item) => sum + (options[picks[item] ?? 0]?.loss ?? 0), 0);
}

/** From the cheapest selection up, the step first that gains most for its cost; what it would gain with parts of steps is the bound. */
function climb(items: readonly (readonly Option[])[], cheapest: number[], budget: number) {
  const steps = items.flatMap((options, item) => hullSteps(options, item, cheapest[item] ?? 0));
  // The sort is stable, and of one item the steps are in order already: their slopes fall.
  steps.sort((a, b) => b.gain * a.cost - a.gain * b.cost);
  const picks = [...cheapest];
  const blocked = new Set<number>();
  let left = budget - costOf(items, cheapest);
  let bound = lossOf(items, cheapest);
  for (const { item, to, cost, gain } of steps) {
    if (blocked.size === 0) bound -= cost <= left ? gain : (gain * left) / cost;
    if (blocked.has(item) || cost > left) {
      blocked.add(item);
    } else {
      picks[item] = to;
      left -= cost;
    }
  }
  return { picks, bound: Math.max(0, bound) };
}

function hullSteps(options: readonly Option[], item: number, cheapest: number): Step[] {
  const steps: Step[] = [];
  let at = cheapest;
  for (;;) {
    const from = options[at];
    if (!from) return steps;
    const slope = ({ cost, loss }: Option) => (from.loss - loss) / (cost - from.cost);
    const further = [...options.keys()].filter((index) => {
      const option = options[index];
      return option !== undefined && option.cost > from.cost && option.loss < from.loss;
    });
    if (further.length === 0) return steps;
    // Of equal slopes the longest step.
    const to = further.reduce((best, index) => {
      const [a, b] = [slope(options[best] ?? from), slope(options[index] ?? from)];
      return b > a || (b === a && (options[index]?.cost ?? 0) > (options[best]?.cost ?? 0)) ? index : best;
    });
    const next = options[to] ?? from;
    steps.push({ item, to, cost: next.cost - from.cost, gain: from.loss - next.loss });
    at = to;
  }
}

/** Units that the budget is cut into, and the size of the table of all items: 64 MiB at most. */
const MOST_UNITS = 1 << 15;
const MOST_CELLS = 1 << 25;

/** The best selection where costs beyond the cheapest are rounded up to units, so that it fits. */
function program(
  items: readonly (readonly Option[])[],
  useful: readonly number[][],
  cheapest: readonly number[],
  budget: number,
): number[] {
  const least = cheapest.map((pick, item) => items[item]?.[pick]?.cost ?? 0);
  const dearest = items.reduce((sum, options) => sum + options.reduce((most, { cost }) => Math.max(most, cost), 0), 0);
  const cheap = least.reduce((sum, cost) => sum + cost, 0);
  const left = Math.min(budget, dearest) - cheap;
  const common = items.flatMap((options, item) => options.map(({ cost }) => cost - (least[item] ?? 0))).reduce(gcd, 0);
  const most = Math.max(1, Math.min(MOST_UNITS, Math.floor(MOST_CELLS / items.length)));
  const unit = Math.max(common, left / most, 1);
  const units = Math.floor(left / unit);
  // The least loss of the items so far within so many units, and what the last of them is then.
  let losses = new Float64Array(units + 1);
  const choices = items.map((options, item) => {
    const chosen = new Uint16Array(units + 1);
    const next = new Float64Array(units + 1).fill(Infinity);
    for (const index of useful[item] ?? []) {
      const { cost, loss } = options[index] ?? NOTHING;
      const step = Math.ceil((cost - (least[item] ?? 0)) / unit);
      for (let at = step; at <= units; at++) {
        const sum = (losses[at - step] ?? Infinity) + loss;
        if (sum < (next[at] ?? Infinity)) {
          next[at] = sum;
          chosen[at] = index;
        }
      }
    }
    losses = next;
    return { chosen, step: (pick: number) => Math.ceil(((options[pick]?.cost ?? 0) - (least[item] ?? 0)) / unit) };
  });
  let at = units;
  const picks = choices.reverse().map(({ chosen, step }) => {
    const pick = chosen[at] ?? 0;
    at -= step(pick);
    return pick;
  });
  return picks.reverse();
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** A change of one item, and what it does to the sums. */
interface Move {
  item: number;
  to: number;
  cost: number;
  loss: number;
}

/** Changes one or two items, those first that gain most, until no such change helps. */
function improve(
  items: readonly (readonly Option[])[],
  useful: readonly number[][],
  start: readonly number[],
  budget: number,
): number[] {
  const picks = [...start];
  // Each change lowers the loss, so no selection comes twice; real models need some dozens.
  for (let changes = 0; changes < MOST_CHANGES; changes++) {
    const pair = bestPair(movesFrom(items, useful, picks), budget - costOf(items, picks));
    if (!pair) break;
    for (const { item, to } of pair) if (item >= 0) picks[item] = to;
  }
  return picks;
}

const MOST_CHANGES = 10_000;

/** What is gained has to be more than what rounding makes of a sum. */
const ROUNDING = 1e-12;

/** No change: with it a pair is a single move. */
const NOTHING: Move = { item: -1, to: 0, cost: 0, loss: 0 };

/** The options that no other beats in both cost and loss. */
function efficient(options: readonly Option[]): number[] {
  const order = [...options.keys()].sort((a, b) => {
    const [x, y] = [options[a] ?? NOTHING, options[b] ?? NOTHING];
    return x.cost - y.cost || x.loss - y.loss;
  });
  let least = Infinity;
  return order.filter((index) => {
    const loss = options[index]?.loss ?? Infinity;
    if (loss >= least) return false;
    least = loss;
    return true;
  });
}

function movesFrom(
  items: readonly (readonly Option[])[],
  useful: readonly number[][],
  picks: readonly number[],
): Move[] {
  const moves = items.flatMap((options, item) => {
    const now = options[picks[item] ?? 0] ?? NOTHING;
    return (useful[item] ?? []).map((to) => {
      const { cost, loss } = options[to] ?? now;
      return { item, to, cost: cost - now.cost, loss: loss - now.loss };
    });
  });
  return [NOTHING, ...moves].sort((a, b) => a.cost - b.cost);
}

/** The two moves of different items that gain most together and cost no more than is left. */
function bestPair(moves: readonly Move[], left: number): [Move, Move] | undefined {
  // For each beginning of the list: its best move, and the best of another item.
  const bests: [Move, Move][] = [];
  for (const move of moves) {
    const [first, second] = bests.at(-1) ?? [NOTHING_YET, NOTHING_YET];
    if (move.loss < first.loss) bests.push([move, first.item === move.item ? second : first]);
    else if (move.item !== first.item && move.loss < second.loss) bests.push([first, move]);
    else bests.push([first, second]);
  }
  let best: [Move, Move] | undefined;
  let gain = -ROUNDING * moves.reduce((most, { loss }) => Math.max(most, Math.abs(loss)), 0);
  // Dearer moves leave room for fewer others: the end of the beginning moves one way.
  let end = moves.length;
  for (const move of moves) {
    while (end > 0 && (moves[end - 1]?.cost ?? 0) + move.cost > left) end -= 1;
    const [first, second] = bests[end - 1] ?? [NOTHING_YET, NOTHING_YET];
    const other = first.item === move.item ? second : first;
    if (move.loss + other.loss < gain) {
      gain = move.loss + other.loss;
      best = [move, other];
    }
  }
  return best;
}

const NOTHING_YET: Move = { item: -2, to: 0, cost: 0, loss: Infinity };

function indexOfLeast<T>(values: readonly T[], key: (value: T) => [number, number]): number {
  return values.reduce((best, value, index) => {
    const [[a, b], [c, d]] = [key(value), key(values[best] ?? value)];
    return a < c || (a === c && b < d) ? index : best;
  }, 0);
}
