//! MXFP4: `w = 2^(e - 127) v`, `v` an E2M1 float; 32 weights in 17 bytes, 4.25 bits per weight.
//!
//! ```text
//! byte  0..1    e    E8M0   exponent of the scale: that of the largest magnitude, minus 2
//! byte  1..17   qs   E2M1 codes: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! The OCP microscaling format in which gpt-oss was trained and published. Weights that were stored in it are
//! reproduced without loss. Other weights lose more than in Q4_0 or IQ4_NL, because the scale is a power of two: a
//! largest weight between 6 and 8 times the scale is clipped to 6. Importance is ignored, as in ggml.
//! Source: ggml `quantize_row_mxfp4_ref`, `dequantize_row_mxfp4`.

use super::block::{BlockFormat, GroupEncoder, transpose};
use super::elementwise;
use super::fp4;
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of MXFP4.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct MxFp4 {
    e: u8,
    qs: [u8; 16],
}

impl BlockFormat for MxFp4 {
    const ID: u32 = 39;
    const NAME: &'static str = "MXFP4";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        elementwise::decode_levels(&self.qs, &fp4::DOUBLED, half_scale(self.e), out);
    }

    fn is_valid(&self) -> bool {
        self.e != 0xff
    }
}

impl GroupEncoder for MxFp4 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let amax = search::max_abs(&x);
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.e = exponent(amax.lane(lane));
        }
        let d = L::from_fn(|lane| half_scale(blocks[lane].e));
        let codes = x.map(|x| fp4::nearest(x, d));
        let qs: [L; 16] = std::array::from_fn(|j| fp4::pair(codes[j], codes[j + 16]));
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.qs = qs.map(|q| q.int(lane) as u8);
        }
    }
}

/// C's `amax > 0 ? (uint8_t)(floorf(log2f(amax)) - 2 + 127) : 0`. Below `2^-125` the byte wraps around, and in
/// `2^-126..2^-125` it is the one value that is not [valid](BlockFormat::is_valid), both as in the reference.
fn exponent(amax: f32) -> u8 {
    if amax > 0.0 { (floor_log2(amax) + 125) as u8 } else { 0 }
}

/// Half of `2^(e - 127)`, because the values of the codes are doubled.
fn half_scale(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { u32::from(e - 1) << 23 })
}

/// C's `floorf(log2f(x))` for finite `x > 0`, with a `log2f` that rounds to nearest, like glibc's.
///
/// This is not the exponent of `x`, because just below `2^k` the logarithm rounds up to `k`, namely where it is within
/// half a unit in the last place of `k`. `log2(2^k (1 - r))` is about `k - r / ln 2`, and floats of magnitude `64..128`
/// are `2^-17` apart, so there the condition is `r < 2^-18 ln 2`, which is 44.4 times the distance `2^-24` of
/// neighbouring floats below `2^k`. Each binade of `k` closer to zero halves the count, as does each doubling of the
/// distance between subnormal neighbours.
/// Equal to glibc 2.36 for all 2139095039 positive floats.
fn floor_log2(x: f32) -> i32 {
    let bits = x.to_bits();
    let denormal = bits.leading_zeros().saturating_sub(8);
    let normal = bits << denormal;
    let exponent = (bits >> 23).max(1) as i32 - 127 - denormal as i32;
    // The number of floats from x to 2^k.
    let below = (0x0080_0000 - (normal & 0x007f_ffff)) >> denormal;
    let k = exponent + 1;
    // The magnitude just below k; its binade decides.
    let magnitude = if k > 0 { k - 1 } else { -k };
    let rounded_up = magnitude.checked_ilog2().map_or(0, |binade| 88 >> (7 - binade + denormal));
    if below <= rounded_up { k } else { exponent }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counts were determined by running glibc's function over every float.
    #[test]
    fn the_logarithm_rounds_up_as_often_as_in_glibc() {
        let cases = [
            (127, 44),
            (65, 44),
            (64, 22),
            (33, 22),
            (32, 11),
            (17, 11),
            (16, 5),
            (9, 5),
            (8, 2),
            (5, 2),
            (4, 1),
            (3, 1),
            (2, 0),
            (1, 0),
            (0, 0),
            (-1, 0),
            (-2, 1),
            (-3, 1),
            (-4, 2),
            (-7, 2),
            (-8, 5),
            (-15, 5),
            (-16, 11),
            (-31, 11),
            (-32, 22),
            (-63, 22),
            (-64, 44),
            (-125, 44),
            (-126, 22),
            (-127, 11),
            (-128, 11),
            (-129, 5),
            (-130, 2),
            (-131, 1),
            (-132, 0),
            (-140, 0),
            (-148, 0),
        ];
        for (k, count) in cases {
            let power = (f64::from(k)).exp2() as f32;
            assert_eq!(floor_log2(power), k, "2^{k}");
            let below = |n: u32| f32::from_bits(power.to_bits() - n);
            assert_eq!(floor_log2(below(count + 1)), k - 1, "{} below 2^{k}", count + 1);
            if count > 0 {
                assert_eq!(floor_log2(below(count)), k, "{count} below 2^{k}");
            }
        }
        assert_eq!(floor_log2(f32::MAX), 128);
        assert_eq!(floor_log2(f32::from_bits(1)), -149);
    }
}
