//! The parts of small formats that have no order: maxima, elementwise codes, packing. Plain loops over one block, which the
//! compiler turns into vectors of neighbouring weights; no transposition is needed, and no sum is reordered.

use crate::round;

/// The largest magnitude.
#[inline(always)]
pub fn max_abs(x: &[f32; 32]) -> f32 {
    let mut best = [0.0f32; 8];
    for run in x.as_chunks::<8>().0 {
        for (best, x) in best.iter_mut().zip(run) {
            *best = if *best < x.abs() { x.abs() } else { *best };
        }
    }
    best.into_iter().fold(0.0, |max, x| if max < x { x } else { max })
}

/// The value of largest magnitude with its sign; of equals the first, 0 if all are zero.
#[inline(always)]
pub fn signed_max(x: &[f32; 32]) -> f32 {
    let max = max_abs(x);
    let (mut positive, mut negative) = (false, false);
    for &x in x {
        positive |= x == max;
        negative |= x == -max;
    }
    match (positive, negative) {
        (true, false) => max,
        (false, true) => -max,
        // Both signs, or all are zero: only then the order decides.
        _ if max == 0.0 => 0.0,
        _ => x.iter().copied().find(|x| x.abs() == max).unwrap_or(max),
    }
}

/// The smallest value, and how far it is to the largest. Of zeros of two signs the first.
#[inline(always)]
pub fn min_and_range(x: &[f32; 32]) -> (f32, f32) {
    let (first, rest) = (x.first_chunk::<8>().copied().unwrap_or_default(), &x[8..]);
    let (mut low, mut high) = (first, first);
    for run in rest.as_chunks::<8>().0 {
        for i in 0..8 {
            low[i] = if run[i] < low[i] { run[i] } else { low[i] };
            high[i] = if high[i] < run[i] { run[i] } else { high[i] };
        }
    }
    let min = low.into_iter().fold(low[0], |min, x| if x < min { x } else { min });
    let max = high.into_iter().fold(high[0], |max, x| if max < x { x } else { max });
    if min == 0.0 {
        // Which zero came first is lost above, and its sign is written.
        let min = x.iter().copied().find(|x| *x == 0.0).unwrap_or(min);
        return (min, if max == 0.0 { 0.0 } else { max - min });
    }
    (min, max - min)
}

/// C's `d ? 1.0f / d : 0.0f`, and NaN where that is infinite: a product with it is not a number, and what no int holds
/// becomes code 0 in the references as in [`truncate`].
#[inline(always)]
pub fn inverse(d: f32) -> f32 {
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    if inverse.is_infinite() { f32::NAN } else { inverse }
}

/// Codes in `0..256`, each truncated; NaN becomes 0.
#[inline(always)]
pub fn truncate(x: &[f32; 32], code: impl Fn(f32) -> f32) -> [u8; 32] {
    x.map(|x| round::trunc_u8(code(x)))
}

/// Codes `0..16` in nibbles: low ones are weights 0..16, high ones weights 16..32.
#[inline(always)]
pub fn nibbles(codes: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|j| codes[j] & 15 | codes[j + 16] << 4)
}

/// The codes in nibbles, undone.
#[inline(always)]
pub fn from_nibbles(qs: &[u8; 16]) -> [u8; 32] {
    let mut codes = [0; 32];
    for j in 0..16 {
        codes[j] = qs[j] & 15;
        codes[j + 16] = qs[j] >> 4;
    }
    codes
}

/// Bit `j` is the fifth bit of code `j`.
#[inline(always)]
pub fn fifth_bits(codes: &[u8; 32]) -> [u8; 4] {
    // Eight bytes at a time: the product moves bit 4 of byte i to bit 56 + i, and no two sums meet.
    let (bytes, _) = codes.as_chunks::<8>();
    std::array::from_fn(|i| {
        let bits = u64::from_le_bytes(bytes[i]) >> 4 & 0x0101_0101_0101_0101;
        (bits.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    })
}

/// 16 where bit `j` is set, else 0.
#[inline(always)]
pub fn from_fifth_bits(qh: [u8; 4]) -> [u8; 32] {
    std::array::from_fn(|j| if qh[j / 8] & 1 << (j % 8) == 0 { 0 } else { 16 })
}

/// `value(code - zero)` of each code, `zero` at most 2^22.
#[inline(always)]
pub fn decode<const W: usize>(codes: &[u8; W], zero: f32, out: &mut [f32; W], value: impl Fn(f32) -> f32) {
    // A code in the mantissa of 2^23: one `or` and one subtraction instead of a conversion, which for unsigned integers
    // takes eight instructions in wasm on x86-64, and which the compiler prefers where it knows the sign.
    for (out, code) in out.iter_mut().zip(codes) {
        *out = value(f32::from_bits(0x4b00_0000 | u32::from(*code)) - (8_388_608.0 + zero));
    }
}
