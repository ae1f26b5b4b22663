//! Weighted search for a scale and a minimum: ggml's `make_qkx2_quants` and `make_qkx3_quants`, which are one
//! algorithm.

use crate::lanes::{Lanes, Mask};

/// The inverse scales to try: `(nmax + first + step * i) / (max - min)` for `i` in `0..=steps`.
#[derive(Clone, Copy)]
pub struct Grid {
    /// The largest code.
    pub nmax: f32,
    /// Offset of the first candidate from `nmax`.
    pub first: f32,
    /// Difference between consecutive candidates.
    pub step: f32,
    /// The index of the last candidate.
    pub steps: u8,
    /// Whether to minimise the weighted sum of absolute instead of squared errors.
    pub absolute: bool,
}

impl Grid {
    /// The candidates that all searches with an importance matrix use.
    pub const fn weighted(nmax: f32) -> Self {
        Grid { nmax, first: -0.9, step: 0.05, steps: 36, absolute: false }
    }
}

/// The result of the search: `x` is approximated by `scale * code(x) + min`.
#[derive(Clone, Copy)]
pub struct Affine<L> {
    /// The difference between consecutive codes.
    pub scale: L,
    /// The value of code 0; at most 0.
    pub min: L,
    inverse: L,
    origin: L,
    nmax: L,
}

impl<L: Lanes> Affine<L> {
    /// The code that the search assigned to a weight, computed from the winning candidate's scale and origin rather
    /// than from the refitted ones.
    #[inline(always)]
    pub fn code(&self, x: L) -> L {
        code(x, self.inverse, self.origin, self.nmax)
    }
}

#[inline(always)]
fn code<L: Lanes>(x: L, inverse: L, origin: L, nmax: L) -> L {
    clamp((inverse * (x - origin)).nearest_int(), nmax)
}

#[inline(always)]
fn clamp<L: Lanes>(code: L, nmax: L) -> L {
    code.min(nmax).max(L::splat(0.0))
}

/// Computes the codes of all weights and returns the sums of `w l`, `w l^2` and `w l x`.
#[inline(always)]
fn encode<L: Lanes, const W: usize>(x: &[L; W], w: &[L; W], codes: &mut [L; W], code: impl Fn(L) -> L) -> [L; 3] {
    let mut sums = [L::splat(0.0); 3];
    for ((&x, &w), l) in x.iter().zip(w).zip(codes) {
        *l = code(x);
        let wl = w * *l;
        sums = [sums[0] + wl, sums[1] + wl * *l, sums[2] + wl * x];
    }
    sums
}

/// Finds the scale and minimum (at most 0) that minimise `sum w |x - (scale code + min)|^p` over the candidates, with
/// `p` 1 or 2.
///
/// Every candidate yields codes, for which the best scale and minimum follow from a weighted linear regression; the
/// candidate with the smallest error wins. A new best candidate changes the minimum, and with it all later candidates:
/// `max - min` is not loop-invariant. If all weights are equal the scale and the codes are 0.
pub fn affine<L: Lanes, const W: usize>(x: &[L; W], w: &[L; W], grid: Grid) -> Affine<L> {
    let zero = L::splat(0.0);
    let nmax = L::splat(grid.nmax);
    let (mut min, mut max) = (x[0], x[0]);
    let mut sum_w = w[0];
    let mut sum_x = w[0] * x[0];
    for (&x, &w) in x.iter().zip(w).skip(1) {
        min = min.min(x);
        max = max.max(x);
        sum_w = sum_w + w;
        sum_x = sum_x + w * x;
    }
    let lowest = min;
    min = min.min(zero);
    let live = !max.eq(min);
    if !live.any() {
        return Affine { scale: zero, min, inverse: zero, origin: zero, nmax };
    }

    // Divide by one instead of zero for equal weights; the result is discarded.
    let range = |min: L| L::select(live, max - min, L::splat(1.0));
    let mut codes = [zero; W];
    let error = |codes: &[L; W], scale: L, min: L| {
        let mut sum = zero;
        for ((&x, &w), &l) in x.iter().zip(w).zip(codes) {
            let diff = scale * l + min - x;
            sum = sum + w * if grid.absolute { diff.abs() } else { diff * diff };
        }
        sum
    };

    let (mut inverse, mut origin) = (nmax / range(min), min);
    let mut scale = L::splat(1.0) / inverse;
    for (l, &x) in codes.iter_mut().zip(x) {
        *l = code(x, inverse, origin, nmax);
    }
    let mut best = error(&codes, scale, min);
    for i in 0..=grid.steps {
        let candidate = L::splat(grid.first + grid.step * f32::from(i) + grid.nmax) / range(min);
        // Rounding is monotonic: if the unclamped codes of both ends are small, so are all codes between them.
        let end = (candidate * (lowest - min)).abs().max((candidate * (max - min)).abs());
        // Only in wasm: natively the second loop costs more than the cheaper rounding saves.
        let small = cfg!(target_arch = "wasm32") && end.lt(L::splat(4_000_000.0)).all();
        let [sum_l, sum_l2, sum_xl] = match small {
            true => encode(x, w, &mut codes, |x| clamp((candidate * (x - min)).nearest_small(), nmax)),
            false => encode(x, w, &mut codes, |x| code(x, candidate, min, nmax)),
        };
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        let solvable = live & zero.lt(determinant);
        if !solvable.any() {
            continue;
        }
        let fit_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
        let fit_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
        let positive = zero.lt(fit_min);
        let fit_scale = L::select(positive, sum_xl / sum_l2, fit_scale);
        let fit_min = L::select(positive, zero, fit_min);
        let fit_error = error(&codes, fit_scale, fit_min);
        let better = solvable & fit_error.lt(best);
        if better.any() {
            best = L::select(better, fit_error, best);
            scale = L::select(better, fit_scale, scale);
            inverse = L::select(better, candidate, inverse);
            origin = L::select(better, min, origin);
            min = L::select(better, fit_min, min);
        }
    }
    let live = |value| L::select(live, value, zero);
    Affine { scale: live(scale), min, inverse: live(inverse), origin: live(origin), nmax }
}
