//! NVFP4: `w = s v`, `s` a UE4M3 scale for 16 weights, `v` an E2M1 float; 64 weights in 36 bytes, 4.5 bits per weight.
//!
//! ```text
//! byte  0..4    d    UE4M3   one scale per sub-block of 16 weights: its largest magnitude divided by 6
//! byte  4..36   qs   E2M1 codes, 8 bytes per sub-block: low nibbles are its first 8 weights, high nibbles the others
//! ```
//!
//! UE4M3 is an 8-bit float without sign: 4 exponent bits of bias 7, 3 mantissa bits, largest 448. Finer scales than
//! MXFP4's powers of two, for smaller groups, so about two thirds of its squared error. Between `2^-10` and 2688 the largest weight
//! of a group is kept to a sixteenth; a group of smaller weights becomes zero, so weights must not be tiny: files of
//! this format carry a factor for the whole tensor beside it. Importance is ignored, as ggml ignores it.
//! Source: ggml `quantize_row_nvfp4_ref`, `dequantize_row_nvfp4`, `ggml_fp32_to_ue4m3`.

use super::along;
use super::block::{BlockFormat, GroupEncoder, transpose};
use super::fp4;
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of NVFP4.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NvFp4 {
    d: [u8; 4],
    qs: [[u8; 8]; 4],
}

impl BlockFormat for NvFp4 {
    const ID: u32 = 40;
    const NAME: &'static str = "NVFP4";
    const WEIGHTS: usize = 64;

    fn decode(&self, out: &mut [f32]) {
        for ((out, d), qs) in out.chunks_exact_mut(16).zip(self.d).zip(&self.qs) {
            along::decode_levels(qs, &fp4::DOUBLED, half_ue4m3_to_f32(d), out);
        }
    }

    /// Every byte is a scale: NaN (0x7f) reads as 0, and the sign bit is not looked at.
    fn is_valid(&self) -> bool {
        true
    }
}

impl GroupEncoder for NvFp4 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 64] = transpose(weights);
        for (i, x) in x.as_chunks::<16>().0.iter().enumerate() {
            let amax = search::max_abs(x) / L::splat(6.0);
            for (lane, block) in blocks.iter_mut().enumerate() {
                block.d[i] = ue4m3_from_f32(amax.lane(lane));
            }
            let d = L::from_fn(|lane| half_ue4m3_to_f32(blocks[lane].d[i]));
            let codes = x.map(|x| fp4::nearest(x, d));
            let qs: [L; 8] = std::array::from_fn(|j| fp4::pair(codes[j], codes[j + 8]));
            for (lane, block) in blocks.iter_mut().enumerate() {
                block.qs[i] = qs.map(|q| q.int(lane) as u8);
            }
        }
    }
}

/// Half of the value of a UE4M3, because the values of the codes are doubled.
fn half_ue4m3_to_f32(x: u8) -> f32 {
    let (exponent, mantissa) = (u32::from(x >> 3 & 15), x & 7);
    match (exponent, x) {
        // The all-ones pattern is NaN; it reads as zero. With the top bit set it is an ordinary 480.
        (_, 0x7f) => 0.0,
        (0, _) => f32::from(mantissa) / 1024.0,
        // 2^(exponent - 7) (1 + mantissa / 8) / 2, whose bits are those of an f32 of bias 127.
        _ => f32::from_bits((exponent + 127 - 8) << 23 | u32::from(mantissa) << 20),
    }
}

/// ggml's `ggml_fp32_to_ue4m3`: the mantissa rounds half up, what is above 448 becomes 448 (0x7e).
fn ue4m3_from_f32(x: f32) -> u8 {
    const MIN_NORMAL: f32 = 1.0 / 64.0;
    const LARGEST: u8 = 0x7e;
    if x < MIN_NORMAL {
        // A whole number of 2^-9; what rounds up to the smallest normal is kept below it.
        return (x * 512.0 + 0.5).min(7.0) as u8;
    }
    if x >= 256.0 {
        // ggml has no value between 240 and 448: from exponent 15 on, all are the largest.
        return LARGEST;
    }
    // Exponent and mantissa are neighbours, so a carry out of the mantissa raises the exponent.
    let bits = x.to_bits() - ((127 - 7) << 23);
    let rounded = (bits >> 20) + (bits >> 19 & 1);
    if rounded >= 15 << 3 { LARGEST } else { rounded as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_below_256_survives_the_round_trip() {
        for x in 0..15 << 3 {
            assert_eq!(ue4m3_from_f32(half_ue4m3_to_f32(x) * 2.0), x, "{x:02x}");
        }
        assert_eq!(half_ue4m3_to_f32(0x7e) * 2.0, 448.0);
        assert_eq!(ue4m3_from_f32(1e9), 0x7e);
    }

    #[test]
    fn mantissas_round_half_up() {
        for x in 8..(15 << 3) - 1 {
            let middle = half_ue4m3_to_f32(x) + half_ue4m3_to_f32(x + 1);
            assert_eq!(ue4m3_from_f32(middle), x + 1, "{x:02x}");
            assert_eq!(ue4m3_from_f32(f32::from_bits(middle.to_bits() - 1)), x, "{x:02x}");
        }
    }
}
