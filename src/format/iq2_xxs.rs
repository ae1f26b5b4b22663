//! IQ2_XXS: `w = d (s + 1/2) / 4 * sign * level`, 256 weights in 66 bytes, 2.0625 bits per weight.
//!
//! ```text
//! byte  0..2    d     F16   scale of the super-block
//! byte  2..66   subs  eight times for 32 weights each:
//!       0..4      points   u8    index into the grid of 256 points, one for 8 weights each
//!       4..8      signs    u32   bits 0..28: 7 signs for each point, the eighth follows; bits 28..32: s
//! ```
//!
//! A point has eight levels of 8, 25 or 43. The number of negative weights in each eight must be even; where it is not,
//! the encoder flips the sign with the least error. For two bits per weight with an importance matrix (ggml refuses to
//! write it without one); IQ2_S spends half a bit more on all signs and four times as many points.
//! Source: ggml `quantize_row_iq2_xxs_impl`, `dequantize_row_iq2_xxs`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, Refine, Rules, SignsAndScale, Start, write_signed};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::lanes::Lanes;
use crate::search::GROUP_MAX_EPS;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ2_XXS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq2Xxs {
    d: [u8; 2],
    subs: [Sub; 8],
}

/// A sub-block of 32 weights.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Sub {
    points: [u8; 4],
    signs: SignsAndScale,
}

impl BlockFormat for Iq2Xxs {
    const ID: u32 = 16;
    const NAME: &'static str = "IQ2_XXS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ2_XXS;
        let d = f16(self.d);
        for (sub, out) in self.subs.iter().zip(out.chunks_exact_mut(32)) {
            let scale = d * (0.5 + f32::from(sub.signs.scale())) * 0.25;
            for (i, (&point, out)) in sub.points.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
                write_signed(out, scale, &levels[usize::from(point)], sub.signs.signs(i));
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
    sigma2: 1.0,
    epsilon: GROUP_MAX_EPS,
    candidates: 6,
    step: 0.1,
    start: Start::Fitted,
    refine: Refine::All,
    fudge: 1.0,
};

impl BlockEncoder for Iq2Xxs {
    const NEEDS_IMPORTANCE: bool = true;

    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        // Unreachable through `Codec`; ggml refuses too.
        each_super_block(weights, None, blocks, |_, _| Self { d: grid::NAN, ..Self::new_zeroed() });
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq2Xxs {
    let mut block = Iq2Xxs::new_zeroed();
    let Some(codes) = grid::SEARCH_IQ2_XXS.encode::<L, 32>(&RULES, x, importance) else {
        block.d = grid::NAN;
        return block;
    };
    block.d = codes.d;
    for (i, sub) in block.subs.iter_mut().enumerate() {
        sub.points = std::array::from_fn(|k| codes.points[4 * i + k] as u8);
        sub.signs = SignsAndScale::new(std::array::from_fn(|k| codes.signs[4 * i + k]), codes.scales[i]);
    }
    block
}
