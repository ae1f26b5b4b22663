//! Selects one option for each of many items with the smallest total loss within a cost budget.

use crate::sort::sorted;
use std::cmp::Ordering;

/// An option of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The cost: a non-negative integer.
    pub cost: f64,
    /// The loss: non-negative.
    pub loss: f64,
}

/// One option for each item, with the quality of the selection.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// The index of each item's option.
    pub picks: Vec<usize>,
    /// The sum of the costs.
    pub cost: f64,
    /// The sum of the losses.
    pub loss: f64,
    /// A lower bound for the loss of any selection within the budget.
    pub bound: f64,
}

/// A solution within this factor of the bound is not improved further.
const CLOSE: f64 = 1.0001;

/// Solves the multiple-choice knapsack problem, first along the lower convex hulls (Lagrange), which also gives the
/// bound. If the result is not close to the bound, also by dynamic programming over costs in coarse units, which is
/// exact if they are fine enough. Each result is improved by changing two items at a time while that helps.
/// Deterministic.
///
/// Returns `None` if no selection is within the budget. Never worse than any of `starts` within the budget.
pub fn solve(items: &[Vec<Choice>], budget: f64, starts: &[Vec<usize>]) -> Option<Solution> {
    let cheapest: Vec<usize> = items.iter().map(|options| cheapest_of(options)).collect();
    if cost_of(items, &cheapest) > budget {
        return None;
    }
    let useful: Vec<Vec<usize>> = items.iter().map(|options| efficient(options)).collect();
    let better = |a: Vec<usize>, b: Vec<usize>| if loss_of(items, &b) < loss_of(items, &a) { b } else { a };
    let (climbed, bound) = climb(items, &cheapest, budget);
    let fitting = starts.iter().filter(|start| cost_of(items, start) <= budget).cloned();
    let mut picks = improve(items, &useful, fitting.fold(climbed, better), budget);
    if loss_of(items, &picks) > bound * CLOSE {
        let programmed = program(items, &useful, &cheapest, budget);
        picks = better(picks, improve(items, &useful, programmed, budget));
    }
    Some(Solution { cost: cost_of(items, &picks), loss: loss_of(items, &picks), picks, bound })
}

/// The sum of the costs of a selection.
pub fn cost_of(items: &[Vec<Choice>], picks: &[usize]) -> f64 {
    items.iter().zip(picks).filter_map(|(options, pick)| options.get(*pick)).map(|option| option.cost).sum()
}

/// The sum of the losses of a selection.
pub fn loss_of(items: &[Vec<Choice>], picks: &[usize]) -> f64 {
    items.iter().zip(picks).filter_map(|(options, pick)| options.get(*pick)).map(|option| option.loss).sum()
}

/// The option with the smallest cost, and among those the smallest loss.
pub fn cheapest_of(options: &[Choice]) -> usize {
    let less = |a: &Choice, b: &Choice| a.cost < b.cost || a.cost == b.cost && a.loss < b.loss;
    (1..options.len()).fold(0, |best, index| if less(&options[index], &options[best]) { index } else { best })
}

/// A step along the lower convex hull of an item: from one option to a more expensive one with less loss.
#[derive(Clone, Copy)]
struct Step {
    item: usize,
    to: usize,
    cost: f64,
    gain: f64,
}

/// Starts with the cheapest selection and takes the steps with the largest gain per cost first. The bound is the loss
/// with a fraction of the last step.
fn climb(items: &[Vec<Choice>], cheapest: &[usize], budget: f64) -> (Vec<usize>, f64) {
    let steps: Vec<Step> =
        items.iter().enumerate().flat_map(|(item, options)| hull_steps(options, item, cheapest[item])).collect();
    // The sort is stable, and the steps of each item are already in order: their slopes decrease.
    let steps = sorted(&steps, |a, b| (b.gain / b.cost).total_cmp(&(a.gain / a.cost)));
    let mut picks = cheapest.to_vec();
    let mut blocked = vec![false; items.len()];
    let mut any_blocked = false;
    let mut left = budget - cost_of(items, cheapest);
    let mut bound = loss_of(items, cheapest);
    for Step { item, to, cost, gain } in steps {
        if !any_blocked {
            bound -= if cost <= left { gain } else { gain * left / cost };
        }
        if blocked[item] || cost > left {
            (blocked[item], any_blocked) = (true, true);
        } else {
            picks[item] = to;
            left -= cost;
        }
    }
    (picks, bound.max(0.0))
}

fn hull_steps(options: &[Choice], item: usize, cheapest: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = cheapest;
    while let Some(from) = options.get(at) {
        let slope = |option: &Choice| (from.loss - option.loss) / (option.cost - from.cost);
        let further = (0..options.len()).filter(|&i| options[i].cost > from.cost && options[i].loss < from.loss);
        // Among equal slopes, the longest step.
        let steeper = |best: usize, index: usize| {
            let (a, b) = (slope(&options[best]), slope(&options[index]));
            if b > a || b == a && options[index].cost > options[best].cost { index } else { best }
        };
        let Some(to) = further.reduce(steeper) else { break };
        steps.push(Step { item, to, cost: options[to].cost - from.cost, gain: from.loss - options[to].loss });
        at = to;
    }
    steps
}

/// The maximum number of units of the budget, and of entries in the table of all items: at most 64 MiB.
const MOST_UNITS: usize = 1 << 15;
const MOST_CELLS: usize = 1 << 25;

/// The best selection when costs beyond the cheapest are rounded up to units, so that it fits.
fn program(items: &[Vec<Choice>], useful: &[Vec<usize>], cheapest: &[usize], budget: f64) -> Vec<usize> {
    let least: Vec<f64> = items.iter().zip(cheapest).map(|(options, pick)| options[*pick].cost).collect();
    let dearest: f64 = items.iter().map(|options| options.iter().fold(0.0, |most: f64, x| most.max(x.cost))).sum();
    let left = budget.min(dearest) - least.iter().sum::<f64>();
    let extra = items.iter().zip(&least).flat_map(|(options, least)| options.iter().map(move |x| x.cost - least));
    let common = extra.fold(0, |a, b| gcd(a, b as u64)) as f64;
    let most = (MOST_CELLS / items.len().max(1)).clamp(1, MOST_UNITS);
    let unit = common.max(left / most as f64).max(1.0);
    let units = (left / unit).floor() as usize;
    let step = |item: usize, pick: usize| ((items[item][pick].cost - least[item]) / unit).ceil() as usize;
    // The smallest loss of the items so far for each number of units, and the option of the last item.
    let mut losses = vec![0.0; units + 1];
    let mut choices = Vec::with_capacity(items.len());
    for (item, options) in items.iter().enumerate() {
        let mut chosen = vec![0u16; units + 1];
        let mut next = vec![f64::INFINITY; units + 1];
        for &index in &useful[item] {
            let (loss, step) = (options[index].loss, step(item, index));
            for at in step..=units {
                let sum = losses[at - step] + loss;
                if sum < next[at] {
                    (next[at], chosen[at]) = (sum, index as u16);
                }
            }
        }
        losses = next;
        choices.push(chosen);
    }
    let mut at = units;
    let mut picks = vec![0; items.len()];
    for (item, chosen) in choices.iter().enumerate().rev() {
        picks[item] = usize::from(chosen[at]);
        at -= step(item, picks[item]).min(at);
    }
    picks
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A change of one item and its effect on the sums; without an item, a null move, so that a pair can be a single move.
#[derive(Clone, Copy, PartialEq)]
struct Move {
    item: Option<usize>,
    to: usize,
    cost: f64,
    loss: f64,
}

const NO_MOVE: Move = Move { item: None, to: 0, cost: 0.0, loss: 0.0 };

const MOST_CHANGES: u32 = 10_000;

/// A gain must be more than the rounding error of a sum.
const ROUNDING: f64 = 1e-12;

/// Changes one or two items at a time, with the largest gain first, until no change helps.
fn improve(items: &[Vec<Choice>], useful: &[Vec<usize>], start: Vec<usize>, budget: f64) -> Vec<usize> {
    let mut picks = start;
    // Each change lowers the loss, so no selection repeats; real models need a few dozen changes.
    for _ in 0..MOST_CHANGES {
        let moves = moves_from(items, useful, &picks);
        let Some(pair) = best_pair(&moves, budget - cost_of(items, &picks)) else { break };
        for change in pair {
            if let Some(item) = change.item {
                picks[item] = change.to;
            }
        }
    }
    picks
}

/// The options that no other option beats in both cost and loss.
fn efficient(options: &[Choice]) -> Vec<usize> {
    let all: Vec<usize> = (0..options.len()).collect();
    let order = sorted(&all, |&a, &b| {
        let (x, y) = (options[a], options[b]);
        x.cost.total_cmp(&y.cost).then(x.loss.total_cmp(&y.loss))
    });
    let mut least = f64::INFINITY;
    let improves = |index: &usize| {
        let better = options[*index].loss < least;
        least = least.min(options[*index].loss);
        better
    };
    order.into_iter().filter(improves).collect()
}

fn moves_from(items: &[Vec<Choice>], useful: &[Vec<usize>], picks: &[usize]) -> Vec<Move> {
    let mut moves = vec![NO_MOVE];
    for (item, options) in items.iter().enumerate() {
        let now = options[picks[item]];
        moves.extend(useful[item].iter().map(|&to| Move {
            item: Some(item),
            to,
            cost: options[to].cost - now.cost,
            loss: options[to].loss - now.loss,
        }));
    }
    sorted(&moves, |a, b| a.cost.partial_cmp(&b.cost).unwrap_or(Ordering::Equal))
}

/// The two moves of different items with the largest total gain that cost at most `left`.
fn best_pair(moves: &[Move], left: f64) -> Option<[Move; 2]> {
    // For each prefix of the list: its best move, and the best one of another item.
    let mut bests: Vec<[Option<Move>; 2]> = Vec::with_capacity(moves.len());
    let loss = |entry: Option<Move>| entry.map_or(f64::INFINITY, |entry| entry.loss);
    for &candidate in moves {
        let [first, second] = bests.last().copied().unwrap_or_default();
        let same = first.is_some_and(|first| first.item == candidate.item);
        bests.push(if candidate.loss < loss(first) {
            [Some(candidate), if same { second } else { first }]
        } else if !same && candidate.loss < loss(second) {
            [first, Some(candidate)]
        } else {
            [first, second]
        });
    }
    let mut best = None;
    let mut gain = -ROUNDING * moves.iter().fold(0.0, |most: f64, change| most.max(change.loss.abs()));
    // More expensive moves leave less room for others, so the end of the prefix moves in one direction.
    let mut end = moves.len();
    for &change in moves {
        while end > 0 && moves[end - 1].cost + change.cost > left {
            end -= 1;
        }
        let Some([first, second]) = end.checked_sub(1).map(|last| bests[last]) else { continue };
        let other = if first.is_some_and(|first| first.item == change.item) { second } else { first };
        let Some(other) = other else { continue };
        if change.loss + other.loss < gain {
            gain = change.loss + other.loss;
            best = Some([change, other]);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random numbers from 0 to 1.
    fn uniform(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// Random options; as with formats, more expensive ones usually have less loss.
    fn problem(seed: u64) -> (Vec<Vec<Choice>>, f64) {
        let mut random = uniform(seed);
        let items: Vec<Vec<Choice>> = (0..6)
            .map(|_| {
                let scale = 1.0 + (random() * 40.0).floor();
                let mut option = || {
                    let bits = 1.0 + random() * 7.0;
                    Choice { cost: (bits * scale).ceil() * 32.0, loss: random() * 4f64.powf(-bits) * scale }
                };
                (0..5).map(|_| option()).collect()
            })
            .collect();
        let least = least_cost(&items);
        let most: f64 = items.iter().map(|options| options.iter().fold(0.0, |most: f64, x| most.max(x.cost))).sum();
        let budget = (least + random() * (most - least)).floor();
        (items, budget)
    }

    fn least_cost(items: &[Vec<Choice>]) -> f64 {
        items.iter().map(|options| options.iter().fold(f64::INFINITY, |least, x| least.min(x.cost))).sum()
    }

    /// The smallest loss within the budget, by exhaustive search.
    fn optimum(items: &[Vec<Choice>], budget: f64) -> f64 {
        match items {
            _ if budget < 0.0 => f64::INFINITY,
            [] => 0.0,
            [first, rest @ ..] => {
                let losses = first.iter().map(|option| option.loss + optimum(rest, budget - option.cost));
                losses.fold(f64::INFINITY, f64::min)
            }
        }
    }

    #[test]
    fn finds_the_best_selection_and_a_bound_below_it() {
        for seed in 1..=100 {
            let (items, budget) = problem(seed);
            let solution = solve(&items, budget, &[]).unwrap();
            assert_eq!(solution.cost, cost_of(&items, &solution.picks));
            assert_eq!(solution.loss, loss_of(&items, &solution.picks));
            assert!(solution.cost <= budget);
            let best = optimum(&items, budget);
            assert!((solution.loss / best - 1.0).abs() < 5e-13, "seed {seed}: {} {best}", solution.loss);
            assert!(solution.bound <= best * (1.0 + 1e-12), "seed {seed}");
        }
    }

    #[test]
    fn is_close_to_its_bound_with_too_many_costs_to_enumerate() {
        for seed in 300..305 {
            let mut random = uniform(seed);
            let items: Vec<Vec<Choice>> = (0..200)
                .map(|_| {
                    let weights = 2f64.powf(16.0 + 8.0 * random());
                    let bits = [1.6, 2.1, 2.6, 3.1, 3.4, 4.3, 4.5, 5.5, 6.6, 8.5, 16.0];
                    let option = |bits: f64| {
                        let loss = 4f64.powf(-bits) * (0.8 + random() / 2.0);
                        Choice { cost: (bits * weights / 8.0).ceil(), loss }
                    };
                    bits.map(option).to_vec()
                })
                .collect();
            let budget = cost_of(&items, &[5; 200]) + 12_345.0;
            let solution = solve(&items, budget, &[]).unwrap();
            assert!(solution.loss / solution.bound < 1.001, "seed {seed}");
        }
    }

    #[test]
    fn is_never_worse_than_its_start_and_reports_when_nothing_fits() {
        for seed in 200..260 {
            let (items, budget) = problem(seed);
            let mut random = uniform(seed);
            let starts: Vec<Vec<usize>> =
                (0..20).map(|_| (0..6).map(|_| (random() * 5.0) as usize).collect()).collect();
            let solution = solve(&items, budget, &starts).unwrap();
            for start in starts.iter().filter(|start| cost_of(&items, start) <= budget) {
                assert!(solution.loss <= loss_of(&items, start));
            }
            let least = least_cost(&items);
            assert_eq!(solve(&items, least - 1.0, &starts), None);
            assert_eq!(solve(&items, least, &[]).unwrap().cost, least);
        }
    }
}
