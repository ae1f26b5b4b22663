//! Weighted search for a symmetric scale: ggml's `make_qx_quants` with `rmse_type` 1.

use super::scale::{GROUP_MAX_EPS, signed_max};
use crate::lanes::{Lanes, Mask};

/// Finds `scale` and codes `l` in `0..2 nmax` that minimise `sum w (x - scale (l - nmax))^2`.
///
/// It tries nineteen scales around `-max / nmax` (0.1 code apart). For each, the best scale for the resulting codes is
/// `sum w x l / sum w l^2`; the candidate with the largest `(sum w x l)^2 / sum w l^2` wins. A block smaller than
/// [`GROUP_MAX_EPS`] has scale 0 and codes 0.
pub fn symmetric<L: Lanes>(x: &[L], w: &[L], nmax: f32, codes: &mut [L]) -> L {
    let zero = L::splat(0.0);
    let max = signed_max(x);
    let live = !max.abs().lt(L::splat(GROUP_MAX_EPS));
    if !live.any() {
        codes.fill(zero);
        return zero;
    }
    let code = |x: L, inverse: L| (inverse * x).nearest_int().min(L::splat(nmax - 1.0)).max(L::splat(-nmax));

    let fit = |inverse: L| {
        let (mut sumlx, mut suml2) = (zero, zero);
        for (&x, &w) in x.iter().zip(w) {
            let l = code(x, inverse);
            sumlx = sumlx + w * x * l;
            suml2 = suml2 + w * l * l;
        }
        (sumlx, suml2)
    };

    let mut chosen = L::splat(-nmax) / max;
    let (sumlx, suml2) = fit(chosen);
    let mut scale = L::select(suml2.eq(zero), zero, sumlx / suml2);
    let mut best = scale * sumlx;
    for step in (-9i8..=9).filter(|&step| step != 0) {
        let inverse = L::splat(-(nmax + 0.1 * f32::from(step))) / max;
        let (sumlx, suml2) = fit(inverse);
        let better = zero.lt(suml2) & (best * suml2).lt(sumlx * sumlx);
        if better.any() {
            let candidate = sumlx / suml2;
            scale = L::select(better, candidate, scale);
            best = L::select(better, candidate * sumlx, best);
            chosen = L::select(better, inverse, chosen);
        }
    }
    // The winner's codes follow from its inverse scale: one pass here instead of a copy at every improvement.
    for (l, &x) in codes.iter_mut().zip(x) {
        *l = L::select(live, code(x, chosen) + L::splat(nmax), zero);
    }
    L::select(live, scale, zero)
}
