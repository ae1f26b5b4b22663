//! Search for one scale of non-negative numbers: ggml's `make_qp_quants`, which is used to quantize scales.

use super::scale::GROUP_MAX_EPS;
use crate::lanes::{Lanes, Mask};

/// Finds a `scale` and codes in `0..=nmax` that minimise `sum w (x - scale code)^2`.
///
/// It tries nine scales, followed by up to five passes that change single codes where that improves the fit. Numbers
/// below [`GROUP_MAX_EPS`] give scale 0 and codes 0. Codes are bytes in the reference, so a negative one wraps around.
pub fn positive<L: Lanes, const W: usize>(x: &[L; W], w: &[L; W], nmax: f32, codes: &mut [L; W]) -> L {
    let zero = L::splat(0.0);
    let one = L::splat(1.0);
    // C's MAX(max, x): the second operand wins on NaN.
    let max = x.iter().fold(zero, |max, &x| L::select(x.lt(max), max, x));
    let live = !max.lt(L::splat(GROUP_MAX_EPS));
    codes.fill(zero);
    if !live.any() {
        return zero;
    }
    let code = |x: L| x.nearest_int().min(L::splat(nmax));
    let error = |scale: L, code: &dyn Fn(L) -> L| {
        let mut sum = zero;
        for (&x, &w) in x.iter().zip(w) {
            let diff = x - scale * code(x);
            sum = sum + w * diff * diff;
        }
        sum
    };

    let mut inverse = L::splat(nmax) / max;
    // Only here the code is not clamped before it is converted to a byte.
    let mut best = error(one / inverse, &|x| (inverse * x).nearest_int().low_byte());
    for step in (-4i8..=4).filter(|&step| step != 0) {
        let candidate = L::splat(0.1 * f32::from(step) + nmax) / max;
        let sum = error(one / candidate, &|x| code(candidate * x));
        let better = sum.lt(best);
        best = L::select(better, sum, best);
        inverse = L::select(better, candidate, inverse);
    }

    let (mut sumlx, mut suml2) = (zero, zero);
    for ((&x, &w), l) in x.iter().zip(w).zip(codes.iter_mut()) {
        let code = code(inverse * x);
        *l = code.low_byte();
        sumlx = sumlx + w * x * code;
        suml2 = suml2 + w * code * code;
    }
    for _ in 0..5 {
        // A lane without a change would repeat the same pass, so the loop ends only when no lane changes.
        let mut changed = false;
        for ((&x, &w), l) in x.iter().zip(w).zip(codes.iter_mut()) {
            let without_lx = sumlx - w * x * *l;
            let without_l2 = suml2 - w * *l * *l;
            let code = code(x * without_l2 / without_lx);
            let with_lx = without_lx + w * x * code;
            let with_l2 = without_l2 + w * code * code;
            let better = live
                & zero.lt(without_lx)
                & zero.lt(without_l2)
                & !code.eq(*l)
                & (sumlx * sumlx * with_l2).lt(with_lx * with_lx * suml2);
            // Most codes do not improve in any lane, so the branch pays off (always selecting takes twice the time).
            if better.any() {
                changed = true;
                *l = L::select(better, code.low_byte(), *l);
                sumlx = L::select(better, with_lx, sumlx);
                suml2 = L::select(better, with_l2, suml2);
            }
        }
        if !changed {
            break;
        }
    }
    for l in codes {
        *l = L::select(live, *l, zero);
    }
    L::select(live & zero.lt(suml2), sumlx / suml2, zero)
}
