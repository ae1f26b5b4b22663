//! The common parts of Q4_K and Q5_K: eight sub-blocks of 32 weights, each with a six-bit scale and a six-bit minimum.
//!
//! ```text
//! byte j      0..4   scale j      in bits 0..6   upper bits of scale j + 4   in bits 6..8
//! byte j + 4  0..4   minimum j    in bits 0..6   upper bits of minimum j + 4 in bits 6..8
//! byte j + 8  0..4   lower four bits of scale j + 4 and, above them, of minimum j + 4
//! ```

use super::block::{importance_weights, transpose};
use super::super_block::{SUPER, Super, put, requantize, scale, sum_of_squares};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use crate::search::{self, Affine, Grid};

/// An encoded super-block before its codes are packed.
pub struct Encoded {
    pub d: [u8; 2],
    pub dmin: [u8; 2],
    pub scales: [u8; 12],
    pub codes: [u8; SUPER],
}

/// The differences between the two formats.
#[derive(Clone, Copy)]
pub struct Rules {
    /// The candidates of the search without importance.
    pub grid: Grid,
    /// Whether scale codes found with importance are clamped to 63. A negative scale, which a single nonzero importance
    /// can cause, wraps around to a large code, and the two references treat it differently.
    pub clamps_searched: bool,
}

/// Encodes a super-block.
pub fn encode<L: Lanes>(x: &Super, importance: Option<&Super>, Rules { grid, clamps_searched }: Rules) -> Encoded {
    let importance = importance.map(|importance| (importance, 2.0 * sum_of_squares(x) / 256.0));
    let (mut scales, mut mins, mut totals) = ([0.0; 8], [0.0; 8], [0.0; 8]);
    for j in (0..8).step_by(L::N) {
        let (fit, total) = search_sub_blocks::<L>(x, importance, grid, j);
        put(fit.scale, &mut scales, j);
        put(-fit.min, &mut mins, j);
        put(total, &mut totals, j);
    }

    let ((d, scale_codes), (dmin, min_codes)) = match importance {
        None => (six_bits(&scales), six_bits(&mins)),
        Some(_) => (six_bits_weighted(&scales, &totals), six_bits_weighted(&mins, &totals)),
    };
    let d = f16_from_f32(d).to_le_bytes();
    let dmin = f16_from_f32(dmin).to_le_bytes();
    let packed = match clamps_searched {
        true => pack_scales(scale_codes.map(|code| code.min(63)), min_codes.map(|code| code.min(63))),
        false => pack_scales(scale_codes, min_codes),
    };

    let mut codes = [0; SUPER];
    for (j, (codes, x_j)) in codes.as_chunks_mut::<32>().0.iter_mut().zip(x.as_chunks::<32>().0).enumerate() {
        let (sub_scale, sub_min) = scale_and_min(&packed, j);
        let sub_d = scale(d) * f32::from(sub_scale);
        if sub_d == 0.0 {
            // If the scale is zero the search's own codes are kept. This is rare, so the search is run again.
            let (fit, _) = search_sub_blocks::<L>(x, importance, grid, j - j % L::N);
            *codes = x_j.map(|x| fit.code(L::splat(x)).lane(j % L::N) as u8);
        } else {
            requantize(x_j, scale(dmin) * f32::from(sub_min), sub_d, [0, grid.nmax as i32], 0, codes);
        }
    }
    Encoded { d, dmin, scales: packed, codes }
}

/// The fits of sub-blocks `j..j + L::N` and the sums of their error weights.
fn search_sub_blocks<L: Lanes>(x: &Super, importance: Option<(&Super, f32)>, grid: Grid, j: usize) -> (Affine<L>, L) {
    let zero = L::splat(0.0);
    let x: [L; 32] = transpose(&x[32 * j..]);
    match importance {
        None => {
            let squares = x.iter().fold(zero, |sum, &x| sum + x * x);
            let average = (squares / L::splat(32.0)).sqrt();
            (search::affine(&x, &x.map(|x| average + x.abs()), grid), zero)
        }
        Some((importance, sigma2)) => {
            let w = importance_weights(&x, &importance[32 * j..], sigma2);
            let total = w.iter().fold(zero, |sum, &w| sum + w);
            (search::affine(&x, &w, Grid::weighted(grid.nmax)), total)
        }
    }
}

/// Quantizes eight numbers to codes 0..=63 relative to their maximum; returns the step and the codes.
fn six_bits(values: &[f32; 8]) -> (f32, [u8; 8]) {
    let max = values.iter().fold(0.0, |max, &value| if value > max { value } else { max });
    let inverse = if max > 0.0 { 63.0 / max } else { 0.0 };
    (max / 63.0, values.map(|value| (nearest_int(inverse * value) as u8).min(63)))
}

/// The same with a search weighted by the sums of the sub-blocks' error weights.
fn six_bits_weighted(values: &[f32; 8], totals: &[f32; 8]) -> (f32, [u8; 8]) {
    let mut codes = [0.0; 8];
    let d = search::positive(values, totals, 63.0, &mut codes);
    (d, codes.map(|code| code as u8))
}

fn pack_scales(scales: [u8; 8], mins: [u8; 8]) -> [u8; 12] {
    std::array::from_fn(|i| match i / 4 {
        0 => scales[i] | (scales[i + 4] >> 4) << 6,
        1 => mins[i - 4] | (mins[i] >> 4) << 6,
        _ => scales[i - 4] & 15 | mins[i - 4] << 4,
    })
}

/// The scale and the minimum of sub-block `j`.
#[inline(always)]
pub fn scale_and_min(packed: &[u8; 12], j: usize) -> (u8, u8) {
    if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
    }
}
