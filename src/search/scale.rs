//! Common parts of the scale searches: the largest magnitude of a block, and the threshold for zero.

use crate::lanes::Lanes;

/// ggml's `GROUP_MAX_EPS`: a block with a smaller maximum magnitude counts as zero.
pub const GROUP_MAX_EPS: f32 = 1e-15;

/// The largest magnitude.
#[inline(always)]
pub fn max_abs<L: Lanes>(x: &[L]) -> L {
    x.iter().fold(L::splat(0.0), |max, x| max.max(x.abs()))
}

/// The value of largest magnitude, with its sign. The first one wins a tie; 0 if all are zero.
#[inline(always)]
pub fn signed_max<L: Lanes>(x: &[L]) -> L {
    let mut amax = L::splat(0.0);
    let mut max = L::splat(0.0);
    for &x in x {
        let larger = amax.lt(x.abs());
        amax = L::select(larger, x.abs(), amax);
        max = L::select(larger, x, max);
    }
    max
}

/// C's `d ? 1.0f / d : 0.0f`.
#[inline(always)]
pub fn reciprocal_or_zero<L: Lanes>(d: L) -> L {
    let zero = L::splat(0.0);
    L::select(d.eq(zero), zero, L::splat(1.0) / d)
}
