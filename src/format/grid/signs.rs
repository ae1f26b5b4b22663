//! Signs of eight weights, and the word in which two formats keep 28 of them with a scale.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bits 0..28 are four times seven signs, bits 28..32 a scale.
///
/// The eighth sign of each group follows: the number of negative weights is even. ggml tables it (`ksigns_iq2xs`).
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct SignsAndScale([u8; 4]);

impl SignsAndScale {
    /// The word of four groups' signs, of which the low seven bits count, and a scale of four bits.
    pub fn new(signs: [u8; 4], scale: u8) -> Self {
        let signs = signs.iter().rev().fold(0, |word, &signs| word << 7 | u32::from(signs & 127));
        SignsAndScale((signs | u32::from(scale) << 28).to_le_bytes())
    }

    /// The eight signs of group 0..4; a set bit is a negative weight.
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

/// Seven signs and the eighth that makes their number even; the eighth bit given does not matter.
#[inline(always)]
pub fn even_signs(seven: u8) -> u8 {
    let seven = seven & 127;
    seven | ((seven.count_ones() & 1) << 7) as u8
}

/// What four weights are multiplied by, by their signs: looked up faster than made.
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

/// Writes `scale * level`, negated where the bit of `signs` is set.
#[inline(always)]
pub fn write_signed<const D: usize>(out: &mut [f32; D], scale: f32, levels: &[f32; D], signs: u8) {
    let fours = out.as_chunks_mut::<4>().0.iter_mut().zip(levels.as_chunks::<4>().0);
    for (i, (out, levels)) in fours.enumerate() {
        let factors = &FACTORS[usize::from(signs >> (4 * i) & 15)];
        for j in 0..4 {
            // A product, as in the reference: it leaves the sign of a NaN alone.
            out[j] = scale * levels[j] * factors[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_what_they_are_given() {
        let word = SignsAndScale::new([0b0110_0110, 0x7f, 0, 0x80], 13);
        assert_eq!([0, 1, 2, 3].map(|group| word.signs(group)), [0b0110_0110, 0xff, 0, 0]);
        assert_eq!(word.scale(), 13);
        for seven in 0..128 {
            assert_eq!(even_signs(seven).count_ones() % 2, 0);
            assert_eq!(even_signs(seven) & 127, seven);
        }
    }
}
