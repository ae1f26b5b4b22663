//! The order-independent parts of small formats: maxima, elementwise codes, packing. The lanes are neighbouring weights
//! of one block, so no transposition is needed and no sum is reordered.
//!
//! Rejected alternative: loops over `[f32; 32]` that the compiler vectorises. That works natively, but in wasm most of
//! them stay scalar (Q4_1 encoded 140 million weights per second, compared with 630 with one block per lane and 1400
//! with this code). Byte shifts must be by constants: on x86-64 wasm has no variable byte shift, and Q2_K decoding fell
//! from 5600 to 1600 million weights per second.

use crate::lanes::{Best, Lanes, Mask, look_up};

/// A block of the small formats.
pub type Block = [f32; 32];

/// Reduces `of(x)` over all weights.
#[inline(always)]
fn fold<L: Lanes>(x: &Block, mut of: impl FnMut(L)) {
    for x in x.chunks_exact(L::N) {
        of(L::load(x));
    }
}

/// The largest magnitude.
#[inline(always)]
pub fn max_abs<L: Lanes>(x: &Block) -> f32 {
    let mut max = L::splat(0.0);
    fold::<L>(x, |x| max = max.max(x.abs()));
    (1..L::N).fold(max.lane(0), |best, lane| Lanes::max(best, max.lane(lane)))
}

/// The value of largest magnitude, with its sign. The first one wins a tie; 0 if all are zero.
#[inline(always)]
pub fn signed_max<L: Lanes>(x: &Block) -> f32 {
    let max = max_abs::<L>(x);
    let (plus, minus) = (L::splat(max), L::splat(-max));
    let mut positive = plus.lt(plus);
    let mut negative = positive;
    fold::<L>(x, |x| {
        positive = positive | x.eq(plus);
        negative = negative | x.eq(minus);
    });
    match (positive.any(), negative.any()) {
        (true, false) => max,
        (false, true) => -max,
        // Both signs occur, or all are zero: only then the order matters.
        _ if max == 0.0 => 0.0,
        _ => x.iter().copied().find(|x| x.abs() == max).unwrap_or(max),
    }
}

/// The smallest value, and the difference between the largest and the smallest. If both zeros occur, the first one
/// counts.
#[inline(always)]
pub fn min_and_range<L: Lanes>(x: &Block) -> (f32, f32) {
    let (mut low, mut high) = (L::load(x), L::load(x));
    fold::<L>(x, |x| {
        low = low.min(x);
        high = high.max(x);
    });
    let min = (1..L::N).fold(low.lane(0), |best, lane| Lanes::min(best, low.lane(lane)));
    let max = (1..L::N).fold(high.lane(0), |best, lane| Lanes::max(best, high.lane(lane)));
    if min == 0.0 {
        // The reduction above does not keep which zero came first, but its sign is written to the block.
        let min = x.iter().copied().find(|x| *x == 0.0).unwrap_or(min);
        return (min, if max == 0.0 { 0.0 } else { max - min });
    }
    (min, max - min)
}

/// C's `d ? 1.0f / d : 0.0f`, or NaN where that is infinite: products with it are NaN, and a value outside the range of
/// `int` becomes code 0 in the references, as it does in [`codes`].
#[inline(always)]
pub fn inverse(d: f32) -> f32 {
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    if inverse.is_infinite() { f32::NAN } else { inverse }
}

/// The codes of all weights, each an integer in `0..256`. NaN becomes 0.
#[inline(always)]
pub fn codes<L: Lanes>(x: &Block, code: impl Fn(L) -> L) -> [u8; 32] {
    let mut codes = [0; 32];
    for (x, codes) in x.chunks_exact(L::N).zip(codes.chunks_exact_mut(L::N)) {
        code(L::load(x)).put_bytes(codes);
    }
    codes
}

/// Codes in `0..16` packed in nibbles: weights 0..16 in the low nibbles, weights 16..32 in the high nibbles.
#[inline(always)]
pub fn nibble_codes<L: Lanes>(x: &Block, code: impl Fn(L) -> L) -> [u8; 16] {
    let (low, high) = x.split_at(16);
    let mut qs = [0; 16];
    for ((low, high), qs) in low.chunks_exact(L::N).zip(high.chunks_exact(L::N)).zip(qs.chunks_exact_mut(L::N)) {
        (code(L::load(low)) + code(L::load(high)) * L::splat(16.0)).put_bytes(qs);
    }
    qs
}

/// Packs the lower four bits of the codes in nibbles, in the same order.
#[inline(always)]
pub fn nibbles(codes: &[u8; 32]) -> [u8; 16] {
    let mut qs = [0; 16];
    for (j, qs) in qs.iter_mut().enumerate() {
        *qs = codes[j] & 15 | codes[j + 16] << 4;
    }
    qs
}

/// The fifth bits of all codes: bit `j` belongs to code `j`.
#[inline(always)]
pub fn fifth_bits(codes: &[u8; 32]) -> [u8; 4] {
    // Eight bytes at a time: the product moves bit 4 of byte i to bit 56 + i, and no two partial products overlap.
    let (bytes, _) = codes.as_chunks::<8>();
    std::array::from_fn(|i| {
        let bits = u64::from_le_bytes(bytes[i]) >> 4 & 0x0101_0101_0101_0101;
        (bits.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    })
}

/// Applies a function to each byte. A loop, because `map` is unrolled first and then rarely vectorised.
#[inline(always)]
pub fn each<const W: usize>(bytes: &[u8; W], code: impl Fn(u8) -> u8) -> [u8; W] {
    let mut codes = [0; W];
    for (out, byte) in codes.iter_mut().zip(bytes) {
        *out = code(*byte);
    }
    codes
}

/// Computes `low[j] | high[j]`.
#[inline(always)]
pub fn or<const W: usize>(low: &[u8; W], high: &[u8; W]) -> [u8; W] {
    let mut codes = *low;
    for (code, high) in codes.iter_mut().zip(high) {
        *code |= high;
    }
    codes
}

/// Writes `step * code` for each code.
#[inline(always)]
pub fn decode(codes: &[i8], step: f32, out: &mut [f32]) {
    let step = Best::splat(step);
    for (codes, out) in codes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        Best::decode_to_f32(codes, out, |q| step * q);
    }
}

/// Subtracts a zero point from each code, on bytes because that handles sixteen codes per instruction.
#[inline(always)]
pub fn less<const W: usize>(codes: &[u8; W], zero: u8) -> [i8; W] {
    let mut signed = [0; W];
    for (signed, code) in signed.iter_mut().zip(codes) {
        *signed = code.wrapping_sub(zero) as i8;
    }
    signed
}

/// Writes `step * code + base` for each code; codes are below 128.
#[inline(always)]
pub fn decode_affine(codes: &[u8], step: f32, base: f32, out: &mut [f32]) {
    let (step, base) = (Best::splat(step), Best::splat(base));
    for (codes, out) in codes.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        Best::decode_to_f32(&less(codes, 0), out, |q| step * q + base);
    }
}

/// Writes `step * level` for each nibble: first all low ones, then all high ones. `W` is 8 or 16.
#[inline(always)]
pub fn decode_levels<const W: usize>(nibbles: &[u8; W], levels: &[i8; 16], step: f32, out: &mut [f32]) {
    let mut codes = [0; 32];
    codes[..W].copy_from_slice(&each(nibbles, |byte| byte & 15));
    codes[W..2 * W].copy_from_slice(&each(nibbles, |byte| byte >> 4));
    for (codes, out) in codes[..2 * W].as_chunks().0.iter().zip(out.chunks_exact_mut(16)) {
        decode(&look_up(levels, codes), step, out);
    }
}

/// Sets `bit` in each byte of `mask` for which the code has the bit `test`.
#[inline(always)]
pub fn mark(mask: &mut [u8; 32], bit: u8, codes: &[u8; 32], test: u8) {
    for (mask, code) in mask.iter_mut().zip(codes) {
        *mask |= if code & test == 0 { 0 } else { bit };
    }
}

/// Computes `low[j] | high[j] << 4` from the lower four bits of both.
#[inline(always)]
pub fn pair<const W: usize>(low: &[u8; W], high: &[u8; W]) -> [u8; W] {
    let mut bytes = [0; W];
    for ((byte, low), high) in bytes.iter_mut().zip(low).zip(high) {
        *byte = low & 15 | high << 4;
    }
    bytes
}
