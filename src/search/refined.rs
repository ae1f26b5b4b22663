//! Search for a symmetric scale that refines single codes: ggml's `make_q3_quants` with `do_rmse`.

use super::scale::{GROUP_MAX_EPS, signed_max};
use crate::lanes::{Lanes, Mask};

/// Finds a `scale` and codes in `0..2 nmax` that minimise `sum x^2 (x - scale (code - nmax))^2`.
///
/// The initial codes come from the scale `-max / nmax`; up to five passes change single codes where that improves the
/// fit. A block smaller than [`GROUP_MAX_EPS`] has scale 0 and codes 0.
pub fn refined<L: Lanes, const W: usize>(x: &[L; W], nmax: f32, codes: &mut [L; W]) -> L {
    let zero = L::splat(0.0);
    let max = signed_max(x);
    let live = !max.abs().lt(L::splat(GROUP_MAX_EPS));
    codes.fill(zero);
    if !live.any() {
        return zero;
    }
    let code = |x: L| x.nearest_int().min(L::splat(nmax - 1.0)).max(L::splat(-nmax));

    let inverse = L::splat(-nmax) / max;
    let (mut sumlx, mut suml2) = (zero, zero);
    for (&x, l) in x.iter().zip(codes.iter_mut()) {
        *l = code(inverse * x);
        let w = x * x;
        sumlx = sumlx + w * x * *l;
        suml2 = suml2 + w * *l * *l;
    }
    for _ in 0..5 {
        // A lane without a change would repeat the same pass, so the loop ends only when no lane changes.
        let mut changed = false;
        for (&x, l) in x.iter().zip(codes.iter_mut()) {
            let w = x * x;
            let without_lx = sumlx - w * x * *l;
            let without_l2 = suml2 - w * *l * *l;
            let code = code(x * without_l2 / without_lx);
            let moved = !code.eq(*l);
            // Most codes stay the same in all lanes.
            if !moved.any() {
                continue;
            }
            let with_lx = without_lx + w * x * code;
            let with_l2 = without_l2 + w * code * code;
            let better = live
                & moved
                & zero.lt(without_lx)
                & zero.lt(with_l2)
                & (sumlx * sumlx * with_l2).lt(with_lx * with_lx * suml2);
            // Most codes do not improve in any lane, so the branch pays off (always selecting takes twice the time).
            if better.any() {
                changed = true;
                *l = L::select(better, code, *l);
                sumlx = L::select(better, with_lx, sumlx);
                suml2 = L::select(better, with_l2, suml2);
            }
        }
        if !changed {
            break;
        }
    }
    for l in codes {
        *l = L::select(live, *l + L::splat(nmax), zero);
    }
    L::select(live & zero.lt(suml2), sumlx / suml2, zero)
}
