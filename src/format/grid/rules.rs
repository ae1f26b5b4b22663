//! The differences between the formats of the shared [search](super::search), and the steps before it: signs, error
//! weights, and the first candidate scale.

use crate::format::block::transpose;
use crate::format::super_block::{SUPER, Super, sum_of_squares};
use crate::lanes::Lanes;
use crate::search::positive;

/// How the first candidate scale is determined.
#[derive(Clone, Copy, PartialEq)]
pub enum Start {
    /// From the largest weight.
    Largest,
    /// From a plain search over `0..=R` ([`positive`]).
    Fitted,
}

/// Which points are searched again once the best scale is known.
#[derive(Clone, Copy, PartialEq)]
pub enum Refine {
    /// Those whose weights did not round to a grid point.
    OffGrid,
    /// All of them, if any did not or if no candidate fitted.
    AllIfOffGrid,
    /// All of them.
    All,
}

/// What differs between the formats.
pub struct Rules {
    /// Whether the number of negative weights in each eight is even.
    pub even_signs: bool,
    /// The error weight of a weight without importance, given `sigma2` and the weight.
    pub plain: fn(f32, f32) -> f32,
    /// Factor for `sigma2`, which is the mean square of the super-block times this.
    pub sigma2: f32,
    /// Weights with a common scale become zero if all of them are smaller than this.
    pub epsilon: f32,
    /// The number of candidates on either side of the first.
    pub candidates: i8,
    /// The distance of candidates, in levels.
    pub step: f32,
    /// How the first candidate is determined.
    pub start: Start,
    /// Which points are searched again.
    pub refine: Refine,
    /// Factor for the scale of the super-block before it is stored; it reduces the average error.
    pub fudge: f32,
}

/// The starting point for the candidate scales of a sub-block.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// The value that the first candidate maps to the top level.
    pub largest: f32,
    /// The scale if no candidate fits.
    pub scale: f32,
}

/// The starting points of all sub-blocks; `None` for those that are all zero.
pub fn starts<L: Lanes, const W: usize>(
    rules: &Rules,
    radix: f32,
    x: &[[f32; W]],
    w: &[[f32; W]],
) -> [Option<Candidate>; SUPER / 16] {
    let mut starts = [None; SUPER / 16];
    for (start, x) in starts.iter_mut().zip(x) {
        let largest = x.iter().fold(x[0], |max, &x| if max > x { max } else { x });
        if largest >= rules.epsilon {
            *start = Some(Candidate { largest, scale: largest / (2.0 * radix - 1.0) });
        }
    }
    if rules.start == Start::Fitted {
        let mut scales = [0.0; SUPER / 16];
        let groups = x.len() / L::N * L::N;
        fitted_scales::<L, W>(radix + 1.0, &x[..groups], &w[..groups], &mut scales);
        fitted_scales::<f32, W>(radix + 1.0, &x[groups..], &w[groups..], &mut scales[groups..]);
        for (start, scale) in starts.iter_mut().zip(scales) {
            let largest = scale * radix;
            *start = start.and((largest > 0.0 || largest.is_nan()).then_some(Candidate { largest, scale }));
        }
    }
    starts
}

fn fitted_scales<L: Lanes, const W: usize>(nmax: f32, x: &[[f32; W]], w: &[[f32; W]], scales: &mut [f32]) {
    let groups = x.chunks_exact(L::N).zip(w.chunks_exact(L::N));
    for ((x, w), scales) in groups.zip(scales.chunks_exact_mut(L::N)) {
        let (x, w): ([L; W], [L; W]) = (transpose(x.as_flattened()), transpose(w.as_flattened()));
        let scale = positive(&x, &w, nmax, &mut [L::splat(0.0); W]);
        for (lane, out) in scales.iter_mut().enumerate() {
            *out = scale.lane(lane);
        }
    }
}

/// The magnitudes of the weights as the search uses them, and their error weights.
pub fn prepare(
    rules: &Rules,
    weights: &Super,
    importance: Option<&Super>,
    signs: &mut [u8; SUPER / 8],
) -> (Super, Super) {
    let sigma2 = rules.sigma2 * sum_of_squares(weights) / SUPER as f32;
    let (mut x, mut w) = ([0.0; SUPER], [0.0; SUPER]);
    match importance {
        Some(importance) => {
            for ((w, &x), &importance) in w.iter_mut().zip(weights).zip(importance) {
                *w = importance * (sigma2 + x * x).sqrt();
            }
        }
        None => {
            for (w, &x) in w.iter_mut().zip(weights) {
                *w = (rules.plain)(sigma2, x);
            }
        }
    }
    let eights = weights.as_chunks::<8>().0.iter().zip(w.as_chunks::<8>().0);
    for (((weights, w), out), signs) in eights.zip(x.as_chunks_mut::<8>().0).zip(signs) {
        for i in 0..8 {
            let negative = weights[i] < 0.0;
            out[i] = if negative { -weights[i] } else { weights[i] };
            *signs |= u8::from(negative) << i;
        }
        if rules.even_signs && signs.count_ones() % 2 == 1 {
            // The sign to be flipped is the one that costs least.
            let cost = |i: usize| w[i] * weights[i] * weights[i];
            let least = (1..8).fold(0, |least, i| if cost(i) < cost(least) { i } else { least });
            out[least] = -out[least];
            *signs ^= 1 << least;
        }
    }
    (x, w)
}
