//! The search of IQ1_S and IQ1_M: finds a scale, a shift, and points with levels -1, 0, 1 for the weights with that
//! scale.
//!
//! Sorted by value, the weights form three runs, one per level. Every way to cut them is tried, with both shifts. Sums
//! over runs are differences of prefix sums, so each cut costs a few operations. Lane `i` is sub-block `i`. Points that
//! are not on the grid then move to the nearest one on it.
//!
//! Source: ggml `quantize_row_iq1_s_impl`, `quantize_row_iq1_m_impl`, `iq1_find_best_neighbour2`.

use super::lattice::{Lattice, Levels, Point};
use crate::format::super_block::{SUPER, Super, sum_of_squares};
use crate::lanes::{Lanes, Mask};
use std::array;

/// The shift that is added to or subtracted from a level of the one-bit formats (`IQ1S_DELTA`).
pub(in crate::format) const SHIFT: f32 = 0.125;

/// The levels of digits 0, 1, 2 with the shift added and with the shift subtracted.
const SHIFTED: [[f32; 3]; 2] = [[-1.0 + SHIFT, SHIFT, 1.0 + SHIFT], [-1.0 - SHIFT, -SHIFT, 1.0 - SHIFT]];

/// The grid and the shifted levels of its digits.
pub struct Iq1Search {
    lattice: Lattice<4, 3>,
    levels: [Levels<4>; 2],
}

/// A scale, and up to four points with their shifts.
#[derive(Clone, Copy, Default)]
pub struct Fit {
    /// The scale; never negative.
    pub scale: f32,
    /// The points.
    pub points: [Point; 4],
    /// Bit `k` is set if the shift of point `k` is subtracted.
    pub minus: u8,
}

/// The best cut of `L::N` sub-blocks.
pub struct Cut<L> {
    scale: L,
    best: L,
    /// How many weights have digit 0, how many have digit 0 or 1, and the shifts as in [`Fit::minus`]; negative if no
    /// cut was found.
    cut: [L; 3],
}

/// A function that finds the best cut of `L::N` sub-blocks of `W` sorted weights.
pub type Cutter<L, const W: usize> = fn(&Sorted<L, W>) -> Cut<L>;

/// The weights of `L::N` sub-blocks in ascending order.
pub struct Sorted<L, const W: usize> {
    /// Error weight times weight.
    wx: [L; W],
    w: [L; W],
    /// 1 if a weight is in the second half of its sub-block, otherwise 0.
    second: [L; W],
}

/// The error weights: from the importance, or the squares of the weights.
pub fn weigh(x: &Super, importance: Option<&Super>) -> Super {
    let sigma2 = 2.0 * sum_of_squares(x) / SUPER as f32;
    importance.map_or_else(
        || x.map(|x| x * x),
        |importance| array::from_fn(|i| importance[i] * (sigma2 + x[i] * x[i]).sqrt()),
    )
}

impl Iq1Search {
    /// Builds the grid of a set, with the neighbours at the `shells` smallest distances.
    pub fn new(set: &[u64], shells: usize) -> Self {
        let levels = SHIFTED.map(|levels| Lattice::<4, 3>::levels(|digit| levels[usize::from(digit)]));
        Iq1Search { lattice: Lattice::new(set, shells), levels }
    }

    /// The index of a point on the grid.
    pub fn number(&self, point: Point) -> u16 {
        self.lattice.number(point).unwrap_or(0)
    }

    /// The best scales and points of sub-blocks of `W` weights; sub-blocks smaller than `epsilon` are zero.
    ///
    /// `None` where ggml gives up because no point is near.
    pub fn fit<L: Lanes, const W: usize>(
        &self,
        x: &Super,
        w: &Super,
        epsilon: f32,
        cut: Cutter<L, W>,
    ) -> Option<[Fit; 16]> {
        let (x, w) = (x.as_chunks::<W>().0, w.as_chunks::<W>().0);
        let mut fits = [Fit::default(); 16];
        for (group, (x, w)) in x.chunks(L::N).zip(w.chunks(L::N)).enumerate() {
            let mut orders = [[0; W]; 16];
            for (order, x) in orders.iter_mut().zip(x) {
                *order = ascending(x);
            }
            let lane_of = |lane: usize| lane.min(x.len() - 1);
            let gather = |value: &dyn Fn(usize, usize) -> f32, j: usize| {
                L::from_fn(|lane| value(lane_of(lane), usize::from(orders[lane_of(lane)][j])))
            };
            let sorted = Sorted {
                wx: array::from_fn(|j| gather(&|lane, i| w[lane][i] * x[lane][i], j)),
                w: array::from_fn(|j| gather(&|lane, i| w[lane][i], j)),
                second: array::from_fn(|j| gather(&|_, i| f32::from(u8::from(i >= W / 2)), j)),
            };
            let cut = cut(&sorted);
            for (lane, (x, w)) in x.iter().zip(w).enumerate() {
                let largest = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
                if largest >= epsilon && cut.cut[0].lane(lane) >= 0.0 {
                    let [low, high, minus] = cut.cut.map(|at| at.int(lane) as usize);
                    let mut digits = [0u8; W];
                    for (j, &i) in orders[lane].iter().enumerate() {
                        digits[usize::from(i)] = u8::from(j >= low) + u8::from(j >= high);
                    }
                    fits[group * L::N + lane] = self.snap(x, w, digits, cut.scale.lane(lane), minus as u8)?;
                }
            }
        }
        Some(fits)
    }

    /// Moves points to the grid, and fits the scale again if any had to move.
    fn snap<const W: usize>(
        &self,
        x: &[f32; W],
        w: &[f32; W],
        mut digits: [u8; W],
        mut scale: f32,
        mut minus: u8,
    ) -> Option<Fit> {
        if scale < 0.0 {
            scale = -scale;
            digits = digits.map(|digit| 2 - digit);
            minus = !minus;
        }
        let mut points = [[0; 2]; 4];
        let mut moved = false;
        let (xs, ws) = (x.as_chunks::<4>().0.as_chunks::<2>().0, w.as_chunks::<4>().0.as_chunks::<2>().0);
        for (k, digits) in digits.as_chunks::<4>().0.as_chunks::<2>().0.iter().enumerate() {
            let levels = &self.levels[usize::from(minus >> k & 1)];
            points[k] = digits.map(|half| half.iter().rev().fold(0, |key, digit| 3 * key + digit));
            if self.lattice.number(points[k]).is_none() {
                points[k] = self.lattice.nearest(points[k], levels, &xs[k], &ws[k], scale)?;
                moved = true;
            }
        }
        let fit = Fit { scale, points, minus };
        if moved {
            let (sumqx, sumq2) = self.sums(&fit, x, w, 1.0, (0.0, 0.0));
            if sumqx > 0.0 && sumq2 > 0.0 {
                scale = sumqx / sumq2;
            }
        }
        (scale >= 0.0).then_some(Fit { scale, ..fit })
    }

    /// Adds `w q x` and `w q^2` of a sub-block to two sums, where `q` is a level times `factor`.
    pub fn sums(&self, fit: &Fit, x: &[f32], w: &[f32], factor: f32, sums: (f32, f32)) -> (f32, f32) {
        let (mut sumqx, mut sumq2) = sums;
        for (k, (x, w)) in x.chunks_exact(8).zip(w.chunks_exact(8)).enumerate() {
            let levels = &self.levels[usize::from(fit.minus >> k & 1)];
            let levels = fit.points[k].map(|half| levels[usize::from(half)]);
            for ((&level, &x), &w) in levels.as_flattened().iter().zip(x).zip(w) {
                let q = level * factor;
                sumqx += w * q * x;
                sumq2 += w * q * q;
            }
        }
        (sumqx, sumq2)
    }
}

/// The indices of the weights in ascending order of value; the order of equal ones is kept.
fn ascending<const W: usize>(x: &[f32; W]) -> [u8; W] {
    let mut order = [0; W];
    for i in 0..W {
        // Computing ranks by counting is faster than moving elements, because it has no branches.
        let mut rank = 0;
        for j in 0..W {
            rank += usize::from(if j < i { x[j] <= x[i] } else { x[j] < x[i] });
        }
        order[rank] = i as u8;
    }
    order
}

impl<L: Lanes> Cut<L> {
    fn none() -> Self {
        Cut { scale: L::splat(0.0), best: L::splat(f32::MIN), cut: [L::splat(-1.0); 3] }
    }

    /// Takes a cut if it fits better than the best so far.
    #[inline(always)]
    fn consider(&mut self, sumqx: L, sumq2: L, low: usize, high: usize, minus: u8) {
        let better = L::splat(0.0).lt(sumq2) & (self.best * sumq2).lt(sumqx * sumqx);
        if better.any() {
            let scale = sumqx / sumq2;
            self.scale = L::select(better, scale, self.scale);
            self.best = L::select(better, scale * sumqx, self.best);
            for (held, new) in self.cut.iter_mut().zip([low as f32, high as f32, f32::from(minus)]) {
                *held = L::select(better, L::splat(new), *held);
            }
        }
    }
}

/// IQ1_S: 32 weights with one shift.
pub fn cut_whole<L: Lanes>(sorted: &Sorted<L, 32>) -> Cut<L> {
    const W: usize = 32;
    let (mut sumx, mut sumw) = ([L::splat(0.0); W + 1], [L::splat(0.0); W + 1]);
    for j in 0..W {
        sumx[j + 1] = sumx[j] + sorted.wx[j];
        sumw[j + 1] = sumw[j] + sorted.w[j];
    }
    // The terms of a sum that depend on only one end of the middle run.
    let below = |level: f32| -> [[L; W + 1]; 2] {
        let level = L::splat(level);
        [array::from_fn(|i| sumx[i] * level), array::from_fn(|i| sumw[i] * level * level)]
    };
    let above = |level: f32| -> [[L; W + 1]; 2] {
        let level = L::splat(level);
        [array::from_fn(|i| (sumx[W] - sumx[i]) * level), array::from_fn(|i| (sumw[W] - sumw[i]) * level * level)]
    };
    let below = SHIFTED.map(|levels| below(levels[0]));
    let above = SHIFTED.map(|levels| above(levels[2]));
    let mut best = Cut::none();
    for low in 0..=W {
        for high in low..=W {
            // The middle level is the shift itself: its sign changes the sign of the term but no bit of its magnitude.
            let middle_x = (sumx[high] - sumx[low]) * L::splat(SHIFT);
            let middle_w = (sumw[high] - sumw[low]) * L::splat(SHIFT) * L::splat(SHIFT);
            let sumqx = below[0][0][low] + middle_x + above[0][0][high];
            let sumq2 = below[0][1][low] + middle_w + above[0][1][high];
            best.consider(sumqx, sumq2, low, high, 0b0000);
            let sumqx = below[1][0][low] - middle_x + above[1][0][high];
            let sumq2 = below[1][1][low] + middle_w + above[1][1][high];
            best.consider(sumqx, sumq2, low, high, 0b1111);
        }
    }
    best
}

/// IQ1_M: 16 weights with one shift for each half.
pub fn cut_halves<L: Lanes>(sorted: &Sorted<L, 16>) -> Cut<L> {
    const W: usize = 16;
    let zero = L::splat(0.0);
    let prefix = |values: &[L; W]| -> [[L; W + 1]; 2] {
        [L::splat(0.0), L::splat(1.0)].map(|half| {
            let mut sums = [zero; W + 1];
            for j in 0..W {
                sums[j + 1] = sums[j] + L::select(sorted.second[j].eq(half), values[j], zero);
            }
            sums
        })
    };
    let (px, pw) = (prefix(&sorted.wx), prefix(&sorted.w));
    // Neighbouring levels differ by one, so the sum over the runs is `total * top - px[low] - px[high]`; the sum of
    // squares has the differences of squared levels as factors.
    let top: [[L; 2]; 2] = SHIFTED.map(|levels| array::from_fn(|half| px[half][W] * L::splat(levels[2])));
    let squares = |half: usize, difference: f32| -> [L; W + 1] { pw[half].map(|sum| sum * L::splat(difference)) };
    let shifted = SHIFTED.map(|[a, b, c]| {
        array::from_fn::<_, 2, _>(|half| {
            let total = pw[half][W] * L::splat(c) * L::splat(c);
            let below = squares(half, a * a - b * b).map(|sum| total + sum);
            (below, squares(half, b * b - c * c))
        })
    });
    let mut best = Cut::none();
    for low in 0..=W {
        for high in low..=W {
            let runs: [L; 2] = array::from_fn(|half| px[half][low] + px[half][high]);
            let qx = top.map(|top| [top[0] - runs[0], top[1] - runs[1]]);
            let q2: [[L; 2]; 2] = array::from_fn(|shift| {
                array::from_fn(|half| shifted[shift][half].0[low] + shifted[shift][half].1[high])
            });
            for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (sumqx, sumq2) = (qx[first][0] + qx[second][1], q2[first][0] + q2[second][1]);
                best.consider(sumqx, sumq2, low, high, (first | second << 1) as u8);
            }
        }
    }
    best
}
