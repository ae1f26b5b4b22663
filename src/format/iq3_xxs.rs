//! IQ3_XXS: `w = d (s + 1/2) / 2 * sign * level`, 256 weights in 98 bytes, 3.0625 bits per weight.
//!
//! ```text
//! byte  0..2    d        F16   scale of the super-block
//! byte  2..66   points   u8    index into the grid of 256 points, one for 4 weights each
//! byte 66..98   signs    u32   for each 32 weights: bits 0..28: 7 signs for each 8, the eighth follows; bits 28..32: s
//! ```
//!
//! A point has four levels of 4, 12 .. 52, 62. The number of negative weights in each eight must be even; where it is
//! not, the encoder flips the sign with the least error. The smallest format that is usable without an importance
//! matrix (and better with one).
//! Source: ggml `quantize_row_iq3_xxs_impl`, `dequantize_row_iq3_xxs`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, Refine, Rules, SignsAndScale, Start, write_signed};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::lanes::Lanes;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ3_XXS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq3Xxs {
    d: [u8; 2],
    points: [[u8; 8]; 8],
    signs: [SignsAndScale; 8],
}

impl BlockFormat for Iq3Xxs {
    const ID: u32 = 18;
    const NAME: &'static str = "IQ3_XXS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ3_XXS;
        let d = f16(self.d);
        for ((points, word), out) in self.points.iter().zip(self.signs).zip(out.as_chunks_mut::<32>().0) {
            let scale = d * (0.5 + f32::from(word.scale())) * 0.5;
            for (k, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                write_signed(out, scale, &levels[usize::from(points[k])], word.signs(k / 2) >> (k % 2 * 4));
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

const RULES: Rules = Rules {
    even_signs: true,
    plain: |_, x| x * x,
    sigma2: 2.0,
    epsilon: 1e-8,
    candidates: 15,
    step: 0.2,
    start: Start::Largest,
    refine: Refine::OffGrid,
    fudge: 1.0125,
};

impl BlockEncoder for Iq3Xxs {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq3Xxs {
    let mut block = Iq3Xxs::new_zeroed();
    let Some(codes) = grid::SEARCH_IQ3_XXS.encode::<L, 32>(&RULES, x, importance) else {
        block.d = grid::NAN;
        return block;
    };
    block.d = codes.d;
    block.points = std::array::from_fn(|i| std::array::from_fn(|k| codes.points[8 * i + k] as u8));
    block.signs =
        std::array::from_fn(|i| SignsAndScale::new(std::array::from_fn(|k| codes.signs[4 * i + k]), codes.scales[i]));
    block
}
