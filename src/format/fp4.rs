//! E2M1, the 4-bit float that MXFP4 and NVFP4 share: 1 sign, 2 exponent, 1 mantissa bits; 0, 0.5, 1, 1.5, 2, 3, 4, 6.

use crate::lanes::Lanes;

/// Twice the value of each code, so that all are integers. The scales of both formats are halved to compensate, as in
/// ggml.
pub(super) const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// The code whose value times `d` is nearest to `x`. The first one wins a tie, as in ggml's search over all sixteen.
///
/// Only codes with the sign of `x` can be strictly nearer than code 0, so eight are tried. The comparison uses rounded
/// differences, which are all equal (giving code 0) if `x` is much larger than `d`; comparing with midpoints would
/// differ there.
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
    // Code 8 is negative zero; zero itself is chosen instead.
    let negative = L::select(x.lt(zero), L::splat(8.0), zero);
    code + L::select(code.eq(zero), zero, negative)
}

/// Packs two codes in a byte, the low nibble first.
#[inline(always)]
pub(super) fn pair<L: Lanes>(low: L, high: L) -> L {
    low + high * L::splat(16.0)
}
