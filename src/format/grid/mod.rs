//! The grids (vector codebooks) of the IQ formats: sets of points with small digits, one point for eight (or four)
//! weights.
//!
//! A format with less than four bits per weight has no separate code for each weight; it stores the index of a point
//! for eight weights at once. Six grids serve seven formats:
//!
//! | grid | points | digits | levels | stored | decode table | formats |
//! |---|---|---|---|---|---|---|
//! | [`IQ2_XXS`] | 256 | 8 of 0..3 | 8 25 43 | 824 B | 8 kB | IQ2_XXS |
//! | [`IQ2_XS`] | 512 | 8 of 0..3 | 8 25 43 | 824 B | 16 kB | IQ2_XS |
//! | [`IQ2_S`] | 1024 | 8 of 0..3 | 8 25 43 | 824 B | 32 kB | IQ2_S |
//! | [`IQ1`] | 2048 | 8 of 0..3 | -1 0 1 | 824 B | 16 kB | IQ1_S, IQ1_M |
//! | [`IQ3_XXS`] | 256 | 4 of 0..8 | 4 12 20 28 36 44 52 62 | 512 B | 4 kB | IQ3_XXS |
//! | [`IQ3_S`] | 512 | 4 of 0..8 | 1 3 5 7 9 11 13 15 | 512 B | 8 kB | IQ3_S |
//!
//! The binary stores one bit per possible point ([`points`]); the lookup tables are built from it on first use.

mod iq1_search;
mod lattice;
mod points;
mod quads;
mod rules;
mod search;
mod signs;

pub(super) use rules::{Refine, Rules, Start};
pub(super) use signs::{SignsAndScale, even_signs, write_signed};

pub(super) use iq1_search::{SHIFT, cut_halves, cut_whole, weigh};

use crate::lanes::{Best, Lanes};
use iq1_search::Iq1Search;
use points::{digits, keys};
use search::CodebookSearch;
use std::sync::LazyLock;

/// The `D` levels of each point of a grid. `N` is a power of two, so a masked index needs no bounds check. Floats can
/// be multiplied right after loading, but for the largest grid they would not fit the L1 cache.
type Levels<T, const D: usize, const N: usize> = LazyLock<[[T; D]; N]>;

/// The levels of IQ2_XXS.
pub(super) static IQ2_XXS: Levels<f32, 8, 256> = LazyLock::new(|| levels(&points::IQ2_XXS, &[8, 25, 43]));
/// The levels of IQ2_XS.
pub(super) static IQ2_XS: Levels<f32, 8, 512> = LazyLock::new(|| levels(&points::IQ2_XS, &[8, 25, 43]));
/// The levels of IQ2_S.
pub(super) static IQ2_S: Levels<f32, 8, 1024> = LazyLock::new(|| levels(&points::IQ2_S, &[8, 25, 43]));
/// The levels of IQ1_S and IQ1_M, to which the shift is added.
pub(super) static IQ1: Levels<i8, 8, 2048> = LazyLock::new(|| levels(&points::IQ1, &[-1, 0, 1]));
/// The levels of IQ3_XXS.
pub(super) static IQ3_XXS: Levels<f32, 4, 256> =
    LazyLock::new(|| levels(&points::IQ3_XXS, &[4, 12, 20, 28, 36, 44, 52, 62]));
/// The levels of IQ3_S.
pub(super) static IQ3_S: Levels<f32, 4, 512> = LazyLock::new(|| levels(&points::IQ3_S, &[1, 3, 5, 7, 9, 11, 13, 15]));

/// The IQ2_XXS grid for its encoder: 0.25 MB.
pub(super) static SEARCH_IQ2_XXS: LazyLock<CodebookSearch<4, 3>> =
    LazyLock::new(|| CodebookSearch::new(&points::IQ2_XXS, 2));
/// The IQ2_XS grid for its encoder: 0.4 MB.
pub(super) static SEARCH_IQ2_XS: LazyLock<CodebookSearch<4, 3>> =
    LazyLock::new(|| CodebookSearch::new(&points::IQ2_XS, 2));
/// The IQ2_S grid for its encoder: 0.1 MB.
pub(super) static SEARCH_IQ2_S: LazyLock<CodebookSearch<4, 3>> =
    LazyLock::new(|| CodebookSearch::new(&points::IQ2_S, 1));
/// The IQ3_XXS grid for its encoder: 0.1 MB.
pub(super) static SEARCH_IQ3_XXS: LazyLock<CodebookSearch<2, 8>> =
    LazyLock::new(|| CodebookSearch::new(&points::IQ3_XXS, 2));
/// The IQ3_S grid for its encoder: 0.1 MB.
pub(super) static SEARCH_IQ3_S: LazyLock<CodebookSearch<2, 8>> =
    LazyLock::new(|| CodebookSearch::new(&points::IQ3_S, 3));

/// The IQ1 grid for its encoders: 0.7 MB.
pub(super) static SEARCH_IQ1: LazyLock<Iq1Search> = LazyLock::new(|| Iq1Search::new(&points::IQ1, 3));

/// An F16 NaN, used as the scale of a block for whose weights no grid point is near.
pub(super) const NAN: [u8; 2] = 0x7e00u16.to_le_bytes();

/// Writes `scale * (level + shift)`.
#[inline(always)]
pub(super) fn write_shifted(out: &mut [f32; 8], scale: f32, levels: &[i8; 8], shift: f32) {
    let (scale, shift) = (Best::splat(scale), Best::splat(shift));
    Best::widen_signed(levels, out, |level| scale * (level + shift));
}

/// The points of a set in order, with each digit replaced by its level. `levels` has one entry per digit value.
fn levels<T: Copy + From<i8>, const D: usize, const N: usize>(set: &[u64], levels: &[i8]) -> [[T; D]; N] {
    let mut table = [[T::from(0); D]; N];
    for (point, key) in table.iter_mut().zip(keys(set)) {
        *point = digits(key, levels.len()).map(|digit| T::from(levels[usize::from(digit)]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grid_has_one_point_per_index() {
        let sets: [(&[u64], usize); 6] = [
            (&points::IQ2_XXS, 256),
            (&points::IQ2_XS, 512),
            (&points::IQ2_S, 1024),
            (&points::IQ1, 2048),
            (&points::IQ3_XXS, 256),
            (&points::IQ3_S, 512),
        ];
        for (set, count) in sets {
            assert_eq!(keys(set).count(), count);
        }
    }

    /// The FNV-1a hash of a whole table as bytes.
    fn fingerprint<T: Copy + Into<f64>, const D: usize, const N: usize>(table: &[[T; D]; N]) -> u64 {
        table.as_flattened().iter().fold(0xcbf2_9ce4_8422_2325, |hash, &level| {
            let level: f64 = level.into();
            (hash ^ u64::from(level as i8 as u8)).wrapping_mul(0x100_0000_01b3)
        })
    }

    /// The expected hashes are those of the tables in ggml-common.h, which lists all levels explicitly.
    #[test]
    fn levels_equal_the_reference() {
        assert_eq!(fingerprint(&IQ2_XXS), 0xbb4ee025b5ac6e8e, "iq2xxs_grid");
        assert_eq!(fingerprint(&IQ2_XS), 0xc9b1ee61e79909bd, "iq2xs_grid");
        assert_eq!(fingerprint(&IQ2_S), 0x123edd38a3b62b90, "iq2s_grid");
        assert_eq!(fingerprint(&IQ1), 0x6703ed863501ae2e, "iq1s_grid");
        assert_eq!(fingerprint(&IQ3_XXS), 0xdfa5dc83d6a155d5, "iq3xxs_grid");
        assert_eq!(fingerprint(&IQ3_S), 0xfa37020c25b44829, "iq3s_grid");
    }
}
