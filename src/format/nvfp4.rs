//! NVFP4: `w = s v`, `s` a UE4M3 scale for 16 weights, `v` an E2M1 float; 64 weights in 36 bytes, 4.5 bits per weight.
//!
//! ```text
//! byte  0..4    d    UE4M3   one scale per sub-block of 16 weights: its largest magnitude divided by 6
//! byte  4..36   qs   E2M1 codes, 8 bytes per sub-block: low nibbles are its first 8 weights, high nibbles the others
//! ```
//!
//! UE4M3 is an unsigned 8-bit float: 4 exponent bits with bias 7, 3 mantissa bits, maximum 448. These scales are finer
//! than the powers of two of MXFP4, for smaller groups, which gives about two thirds of its squared error. The largest
//! weight of a group is accurate to a sixteenth if it is between `2^-10` and 2688; groups of smaller weights become
//! zero, so files in this format store tiny weights with an additional factor per tensor. Importance is ignored, as in
//! ggml.
//! Source: ggml `quantize_row_nvfp4_ref`, `dequantize_row_nvfp4`, `ggml_fp32_to_ue4m3`.

use super::block::{BlockFormat, GroupEncoder, transpose};
use super::elementwise;
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
            elementwise::decode_levels(qs, &fp4::DOUBLED, half_ue4m3_to_f32(d), out);
        }
    }

    /// Every byte is a valid scale: NaN (0x7f) decodes to 0, and the sign bit is ignored.
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
        // The all-ones pattern is NaN and decodes to zero. With the top bit set it is an ordinary 480.
        (_, 0x7f) => 0.0,
        (0, _) => f32::from(mantissa) / 1024.0,
        // 2^(exponent - 7) (1 + mantissa / 8) / 2, constructed from the bits of an f32 with bias 127.
        _ => f32::from_bits((exponent + 127 - 8) << 23 | u32::from(mantissa) << 20),
    }
}

/// ggml's `ggml_fp32_to_ue4m3`: the mantissa rounds half up, and values above 448 become 448 (0x7e).
fn ue4m3_from_f32(x: f32) -> u8 {
    const MIN_NORMAL: f32 = 1.0 / 64.0;
    const LARGEST: u8 = 0x7e;
    if x < MIN_NORMAL {
        // A multiple of 2^-9; values that would round up to the smallest normal number are kept below it.
        return (x * 512.0 + 0.5).min(7.0) as u8;
    }
    if x >= 256.0 {
        // ggml produces no value between 240 and 448: from exponent 15 on, it gives the maximum.
        return LARGEST;
    }
    // The exponent is next to the mantissa, so a carry out of the mantissa increments the exponent.
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
