//! Neighbours of points with four digits, evaluated four at a time: each lane sums the error of one neighbour.
//!
//! Nine of ten points are not on the octal grids, and each has five to seven neighbours; IQ3_XXS and IQ3_S spend most
//! of their time here. One at a time, a neighbour of two halves fills half of two vectors; four at a time fill four
//! vectors. Computing the sums of all halves, which pays off for the long lists of the ternary grids, is slower here.

use super::lattice::Point;
use crate::lanes::{Best, Lanes};

/// The levels of four neighbours, digit by digit.
type Quad = [i8; 16];

/// The neighbours of all points, by key. The last neighbour of a point is repeated to fill a quad.
pub struct Quads {
    quads: Vec<Quad>,
    /// Start of the quads of each point; they end where the next point's start.
    starts: Vec<u32>,
}

impl Quads {
    /// Builds the quads from the neighbours of each point and the levels of a neighbour.
    pub fn new<'a>(lists: impl Iterator<Item = &'a [Point]>, levels: impl Fn(Point) -> [u8; 4]) -> Self {
        let (mut quads, mut starts) = (Vec::new(), vec![0]);
        for list in lists {
            quads.extend(list.chunks(4).map(|points| -> Quad {
                std::array::from_fn(|i| levels(points[(i % 4).min(points.len() - 1)])[i / 4] as i8)
            }));
            starts.push(quads.len() as u32);
        }
        Quads { quads, starts }
    }

    /// The position, among the neighbours of a point, of the one with the smallest `sum w (scale level - x)^2`; see
    /// [`Lattice::nearest`](super::lattice::Lattice::nearest).
    #[inline(always)]
    pub fn nearest(&self, key: usize, x: &[f32; 4], w: &[f32; 4], scale: f32) -> Option<usize> {
        let (x, w, scale) = (x.map(Best::splat), w.map(Best::splat), Best::splat(scale));
        let (mut least, mut place) = (Best::splat(f32::MAX), Best::splat(-1.0));
        let mut here = Best::from_fn(|lane| lane as f32);
        for quad in &self.quads[self.starts[key] as usize..self.starts[key + 1] as usize] {
            let mut levels = [0.0; 16];
            Best::decode_to_f32(quad, &mut levels, |level| level);
            let mut sum = Best::splat(0.0);
            for (i, levels) in levels.chunks_exact(4).enumerate() {
                let diff = scale * Best::load(levels) - x[i];
                sum = sum + w[i] * diff * diff;
            }
            let better = sum.lt(least);
            least = Best::select(better, sum, least);
            place = Best::select(better, here, place);
            here = here + Best::splat(4.0);
        }
        let (mut best, mut nearest) = (f32::MAX, -1.0);
        for lane in 0..4 {
            let (sum, place) = (least.lane(lane), place.lane(lane));
            // The first neighbour in the list wins a tie, whichever lane it is in.
            if sum < best || sum == best && place < nearest {
                (best, nearest) = (sum, place);
            }
        }
        (nearest >= 0.0).then_some(nearest as usize)
    }
}
