//! Signs of eight weights, and the 32-bit word in which two formats store 28 signs and a scale.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bits 0..28 are four groups of seven signs, bits 28..32 a scale.
///
/// The eighth sign of each group follows from the others, because the number of negative weights is even (ggml's table
/// `ksigns_iq2xs`).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct SignsAndScale([u8; 4]);

impl SignsAndScale {
    /// Packs four groups of signs, using their low seven bits, and a four-bit scale.
    pub fn new(signs: [u8; 4], scale: u8) -> Self {
        let signs = signs.iter().rev().fold(0, |word, &signs| word << 7 | u32::from(signs & 127));
        SignsAndScale((signs | u32::from(scale) << 28).to_le_bytes())
    }

    /// The eight signs of a group (0..4); a set bit is a negative weight.
    #[inline(always)]
    pub fn signs(self, group: usize) -> u8 {
        even_signs((u32::from_le_bytes(self.0) >> (7 * group)) as u8)
    }

    /// The scale, 0..16.
    #[inline(always)]
    pub fn scale(self) -> u8 {
        self.0[3] >> 4
    }
}

/// Replaces bit 7 of the signs so that the number of set bits is even.
#[inline(always)]
pub fn even_signs(seven: u8) -> u8 {
    let seven = seven & 127;
    seven | ((seven.count_ones() & 1) << 7) as u8
}

/// The factors of four weights by their signs; a lookup is faster than computing them.
static FACTORS: [[f32; 4]; 16] = {
    let mut factors = [[1.0; 4]; 16];
    let mut i = 0;
    while i < 64 {
        if (i / 4) >> (i % 4) & 1 == 1 {
            factors[i / 4][i % 4] = -1.0;
        }
        i += 1;
    }
    factors
};

/// Writes `scale * level`, negated where the bit in `signs` is set.
#[inline(always)]
pub fn write_signed<const D: usize>(out: &mut [f32; D], scale: f32, levels: &[f32; D], signs: u8) {
    let fours = out.as_chunks_mut::<4>().0.iter_mut().zip(levels.as_chunks::<4>().0);
    for (i, (out, levels)) in fours.enumerate() {
        let factors = &FACTORS[usize::from(signs >> (4 * i) & 15)];
        for j in 0..4 {
            // A product, as in the reference, which keeps the sign of a NaN.
            out[j] = scale * levels[j] * factors[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_return_the_signs_and_scale_they_were_packed_from() {
        let word = SignsAndScale::new([0b0110_0110, 0x7f, 0, 0x80], 13);
        assert_eq!([0, 1, 2, 3].map(|group| word.signs(group)), [0b0110_0110, 0xff, 0, 0]);
        assert_eq!(word.scale(), 13);
        for seven in 0..128 {
            assert_eq!(even_signs(seven).count_ones() % 2, 0);
            assert_eq!(even_signs(seven) & 127, seven);
        }
    }
}
