//! Two-byte floats, IEEE binary16 (F16) and bfloat16 (BF16), and the one-byte floats built on the same bits.
//!
//! Bit-identical to ggml's `GGML_FP32_TO_FP16`, `ggml_compute_fp32_to_bf16` and their inverses: ties round to even; NaN
//! becomes `0x7e00` (with its sign) in F16, and a quiet NaN with the upper payload bits in BF16.

/// Converts f32 to F16 bits, rounding ties to even. Overflow gives infinity; every NaN gives `0x7e00` with its sign.
#[inline(always)]
pub fn f16_from_f32(x: f32) -> u16 {
    // Computes every case and selects one, so the compiler can vectorise it; branches would go weight by weight.
    let bits = x.to_bits();
    let sign = bits >> 16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // At least 65536, or non-finite. Values that round up to 65536 from below are handled by the normal case.
    let beyond = if magnitude > 0x7f80_0000 { 0x7e00 } else { 0x7c00 };
    // Below the smallest normal F16, 2^-14: adding 0.5 aligns the mantissa to multiples of 2^-24 and rounds it.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let odd = magnitude >> 13 & 1;
    let normal = (magnitude.wrapping_sub(0x3800_0000)).wrapping_add(0x0fff + odd) >> 13;
    let small = if magnitude < 0x3880_0000 { subnormal } else { normal };
    (sign | if magnitude >= 0x4780_0000 { beyond } else { small }) as u16
}

/// Converts F16 bits to f32, exactly. A NaN keeps its payload and becomes quiet.
#[inline(always)]
pub fn f16_to_f32(h: u16) -> f32 {
    let sign = u32::from(h & 0x8000) << 16;
    let magnitude = u32::from(h & 0x7fff);
    // Infinity and NaN have all exponent bits set; a NaN must also get the highest mantissa bit (quiet).
    let infinite = if magnitude >= 0x7c00 { 0x7f80_0000 } else { 0 };
    let quiet = if magnitude > 0x7c00 { 0x0040_0000 } else { 0 };
    let normal = ((magnitude << 13) + 0x3800_0000) | infinite | quiet;
    // The mantissa counts multiples of 2^-24.
    let subnormal = (f32::from_bits(magnitude | 0.5f32.to_bits()) - 0.5).to_bits();
    f32::from_bits(sign | if magnitude < 0x0400 { subnormal } else { normal })
}

/// Twice the distance of a normal F16 from the smallest one, in units in the last place; below [`NORMAL`] if and only
/// if `h` is normal.
#[inline(always)]
fn rank(h: u16) -> u16 {
    (h << 1).wrapping_sub(0x0800)
}

/// Exponents 1 to 30 of 31: not zero, subnormal, infinite or NaN.
const NORMAL: u16 = 0xf000;

/// Converts a normal F16: the exponent is shifted by the difference of the biases.
#[inline(always)]
fn normal_to_f32(h: u16) -> f32 {
    let spread = (i32::from(h as i16) << 13) as u32 & 0x8fff_e000;
    f32::from_bits(spread + 0x3800_0000)
}

/// A block's F16 scale as f32, as by [`f16_to_f32`]. Almost all scales are normal, and for single values a branch is
/// faster than selecting.
#[inline(always)]
pub fn f16_scale(bits: [u8; 2]) -> f32 {
    #[cold]
    fn rare(h: u16) -> f32 {
        f16_to_f32(h)
    }
    let h = u16::from_le_bytes(bits);
    if rank(h) < NORMAL { normal_to_f32(h) } else { rare(h) }
}

/// Converts a row of little-endian F16 to f32 as by [`f16_to_f32`], 32 values at once if all of them are normal (as in
/// most models).
pub fn f16_row_to_f32(row: &[[u8; 2]], out: &mut [f32]) {
    let (halves, rest) = row.as_chunks::<32>();
    let (floats, last) = out.as_chunks_mut::<32>();
    for (halves, floats) in halves.iter().zip(floats) {
        let halves = halves.map(u16::from_le_bytes);
        let highest = halves.iter().fold(0, |highest: u16, h| highest.max(rank(*h)));
        *floats = if highest < NORMAL { halves.map(normal_to_f32) } else { halves.map(f16_to_f32) };
    }
    for (bits, x) in rest.iter().zip(last) {
        *x = f16_scale(*bits);
    }
}

/// Converts f32 to BF16 bits, rounding ties to even. A NaN keeps its upper payload bits and becomes quiet.
#[inline(always)]
pub fn bf16_from_f32(x: f32) -> u16 {
    // Computes both cases and tests for NaN in floating point, which the compiler vectorises: twice as fast as a branch
    // in wasm.
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    (if x.is_nan() { bits >> 16 | 64 } else { rounded }) as u16
}

/// Converts BF16 bits to f32, exactly.
#[inline(always)]
pub fn bf16_to_f32(h: u16) -> f32 {
    f32::from_bits(u32::from(h) << 16)
}

/// Converts a row of little-endian BF16 to f32.
pub fn bf16_row_to_f32(row: &[[u8; 2]], out: &mut [f32]) {
    let (halves, rest) = row.as_chunks::<32>();
    let (floats, last) = out.as_chunks_mut::<32>();
    for (halves, floats) in halves.iter().zip(floats) {
        *floats = halves.map(|h| bf16_to_f32(u16::from_le_bytes(h)));
    }
    for (h, x) in rest.iter().zip(last) {
        *x = bf16_to_f32(u16::from_le_bytes(*h));
    }
}

/// Converts F8_E4M3 (the OCP format without infinities, `0x7f` is NaN) to f32, exactly.
#[inline(always)]
pub fn f8_e4m3_to_f32(b: u8) -> f32 {
    let (exponent, mantissa) = (b >> 3 & 15, b & 7);
    let magnitude = match (exponent, mantissa) {
        (15, 7) => f32::NAN,
        (0, _) => f32::from(mantissa) / 512.0,
        // 2^(exponent - 7), constructed from the bits of an f32.
        _ => f32::from_bits((u32::from(exponent) + 120) << 23 | u32::from(mantissa) << 20),
    };
    if b & 0x80 == 0 { magnitude } else { -magnitude }
}

/// Converts F8_E5M2 to f32, exactly: it is the upper byte of an F16.
#[inline(always)]
pub fn f8_e5m2_to_f32(b: u8) -> f32 {
    f16_to_f32(u16::from(b) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for h in 0..=u16::MAX {
            let nan = h & 0x7fff > 0x7c00;
            assert_eq!(f16_from_f32(f16_to_f32(h)), if nan { h & 0x8000 | 0x7e00 } else { h }, "{h:04x}");
            let nan = h & 0x7fff > 0x7f80;
            assert_eq!(bf16_from_f32(bf16_to_f32(h)), if nan { h | 64 } else { h }, "{h:04x}");
            assert_eq!(f16_scale(h.to_le_bytes()).to_bits(), f16_to_f32(h).to_bits(), "{h:04x}");
        }
    }

    #[test]
    fn rows_convert_like_single_values() {
        // Every F16 value, once in runs of similar values (all normal or none) and once mixed, including the remainder
        // of a row.
        let sorted: Vec<u16> = (0..=u16::MAX).collect();
        let mixed = sorted.iter().map(|h| h.wrapping_mul(40503));
        for row in [sorted.clone(), mixed.collect(), sorted[0x0bf3..0x0c2c].to_vec()] {
            let bytes: Vec<_> = row.iter().map(|h| h.to_le_bytes()).collect();
            let single: [fn(u16) -> f32; 2] = [f16_to_f32, bf16_to_f32];
            for (rows, single) in [f16_row_to_f32, bf16_row_to_f32].into_iter().zip(single) {
                let mut out = vec![0.0; row.len()];
                rows(&bytes, &mut out);
                assert!(out.iter().zip(&row).all(|(x, h)| x.to_bits() == single(*h).to_bits()));
            }
        }
    }

    #[test]
    fn f16_rounds_half_to_even_and_saturates_to_infinity() {
        for h in 0..0x7bffu16 {
            let (low, high) = (f16_to_f32(h), f16_to_f32(h + 1));
            let middle = (low + high) / 2.0; // exact in f32
            let even = if h & 1 == 0 { h } else { h + 1 };
            assert_eq!(f16_from_f32(middle), even, "{h:04x}");
            assert_eq!(f16_from_f32(f32::from_bits(middle.to_bits() - 1)), h, "{h:04x}");
            assert_eq!(f16_from_f32(f32::from_bits(middle.to_bits() + 1)), h + 1, "{h:04x}");
        }
        assert_eq!(f16_from_f32(65519.996), 0x7bff);
        assert_eq!(f16_from_f32(65520.0), 0x7c00);
        assert_eq!(f16_from_f32(-1e30), 0xfc00);
    }
}
