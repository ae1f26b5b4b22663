//! E2M1, the 4-bit float that MXFP4 and NVFP4 share: 1 sign, 2 exponent, 1 mantissa bits; 0, 0.5, 1, 1.5, 2, 3, 4, 6.

use crate::lanes::Lanes;

/// Twice the value of each code. The scales of both formats are halved to match, as ggml does, so that all are whole.
pub(super) const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The code whose value times `d` is nearest to `x`; of equals the first, as ggml's search over all sixteen finds it.
///
/// Only codes of the sign of `x` can be strictly nearer than code 0: eight are tried. What is compared are rounded
/// differences, and where `x` dwarfs `d` they are all equal and the code is 0, so no midpoints may stand in for them.
#[inline(always)]
pub(super) fn nearest<L: Lanes>(x: L, d: L) -> L {
    let zero = L::splat(0.0);
    let magnitude = x.abs();
    let mut code = zero;
    let mut least = magnitude;
    for candidate in 1..8u8 {
        let level = L::splat(f32::from(DOUBLED[usize::from(candidate)]));
        let error = (level * d - magnitude).abs();
        let nearer = error.lt(least);
        code = L::select(nearer, L::splat(f32::from(candidate)), code);
        least = L::select(nearer, error, least);
    }
    // Code 8 is minus zero, which is no nearer than zero.
    let negative = L::select(x.lt(zero), L::splat(8.0), zero);
    code + L::select(code.eq(zero), zero, negative)
}

/// Two codes in a byte, the low nibble first.
#[inline(always)]
pub(super) fn pair<L: Lanes>(low: L, high: L) -> L {
    low + high * L::splat(16.0)
}
