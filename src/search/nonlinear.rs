//! Weighted search for the scale of a non-uniform codebook: the first half of ggml's `quantize_row_iq4_nl_impl`.

use super::scale::{GROUP_MAX_EPS, signed_max};
use crate::lanes::{Lanes, Mask};

/// The number of scales to try on either side.
const TRIES: i8 = 7;

/// Finds the scale that minimises `sum w (x - scale * level(x / scale))^2`, where `level` returns the nearest entry of
/// a codebook with minimum `lowest`.
///
/// It tries the scale that maps the largest weight to `-lowest`, and the fifteen that map it to `lowest` and to up to
/// seven steps on either side. For each, the best scale for the resulting codes is `sum w q x / sum w q^2`; the
/// candidate with the largest `(sum w q x)^2 / sum w q^2` wins. A block smaller than [`GROUP_MAX_EPS`] has scale 0.
pub fn nonlinear<L: Lanes>(x: &[L], w: &[L], lowest: f32, level: impl Fn(L) -> L) -> L {
    let zero = L::splat(0.0);
    let max = signed_max(x);
    let live = !max.abs().lt(L::splat(GROUP_MAX_EPS));
    if !live.any() {
        return zero;
    }
    let fit = |inverse: L| {
        let (mut sumqx, mut sumq2) = (zero, zero);
        for (&x, &w) in x.iter().zip(w) {
            let q = level(inverse * x);
            sumqx = sumqx + w * q * x;
            sumq2 = sumq2 + w * q * q;
        }
        (sumqx, sumq2)
    };

    let (sumqx, sumq2) = fit(L::splat(1.0) / (max / L::splat(-lowest)));
    let mut scale = L::select(zero.lt(sumq2), sumqx / sumq2, zero);
    let mut best = scale * sumqx;
    for step in -TRIES..=TRIES {
        let (sumqx, sumq2) = fit(L::splat(f32::from(step) + lowest) / max);
        let better = zero.lt(sumq2) & (best * sumq2).lt(sumqx * sumqx);
        if better.any() {
            let candidate = sumqx / sumq2;
            scale = L::select(better, candidate, scale);
            best = L::select(better, candidate * sumqx, best);
        }
    }
    L::select(live, scale, zero)
}
