//! The search of IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS and IQ3_S: finds a scale, and points for the weights with that scale.
//!
//! Lane `i` is candidate scale `i`: each candidate rounds the weights to digits, moves points that are off the grid to
//! the nearest one on it, and computes the sums for its best scale. Candidates are independent until the best one is
//! selected, in order.
//!
//! Source: ggml `quantize_row_iq2_xxs_impl`, `quantize_row_iq2_xs_impl`, `quantize_row_iq2_s_impl`,
//! `quantize_row_iq3_xxs_impl`, `quantize_row_iq3_s_impl`, which differ in the numbers of [`Rules`].

use super::lattice::{Lattice, Levels, Point};
use super::quads::Quads;
use super::rules::{Candidate, Refine, Rules, prepare, starts};
use crate::format::super_block::{SUPER, Super};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;

/// The maximum number of points per scale: 32 weights, four per point.
const POINTS: usize = 8;

/// The codes of a super-block, ready to be packed.
pub struct Codes {
    /// The scale as F16 bytes.
    pub d: [u8; 2],
    /// The grid indices of the points.
    pub points: [u16; SUPER / 4],
    /// The signs of each eight weights.
    pub signs: [u8; SUPER / 8],
    /// The four-bit scales.
    pub scales: [u8; SUPER / 16],
    /// Which scales have weights that are not all zero.
    pub live: [bool; SUPER / 16],
}

/// Searches a codebook whose levels are the odd numbers.
pub struct CodebookSearch<const H: usize, const R: usize> {
    lattice: Lattice<H, R>,
    levels: Levels<H>,
    /// The neighbours in quads, for points with four digits.
    quads: Option<Quads>,
}

/// A scale and its points.
struct Fit {
    scale: f32,
    points: [Point; POINTS],
}

impl<const H: usize, const R: usize> CodebookSearch<H, R> {
    /// Builds the search tables of a set, with the neighbours at the `shells` smallest distances.
    pub fn new(set: &[u64], shells: usize) -> Self {
        let levels = Lattice::<H, R>::levels(|digit| f32::from(2 * digit + 1));
        let lattice = Lattice::new(set, shells);
        let quads = (H == 2).then(|| {
            let lists = Lattice::<H, R>::all().map(|point| lattice.neighbours(point));
            Quads::new(lists, |[low, high]| {
                let [low, high] = [low, high].map(|half| levels[usize::from(half)]);
                [low[0], low[1], high[0], high[1]].map(|level| level as u8)
            })
        });
        CodebookSearch { lattice, levels, quads }
    }

    /// Encodes 256 weights, `W` per scale. `None` where ggml gives up because no point is near.
    pub fn encode<L: Lanes, const W: usize>(
        &self,
        rules: &Rules,
        weights: &Super,
        importance: Option<&Super>,
    ) -> Option<Codes> {
        let mut codes = Codes { d: [0; 2], points: [0; 64], signs: [0; 32], scales: [0; 16], live: [false; 16] };
        let (x, w) = prepare(rules, weights, importance, &mut codes.signs);
        let (x, w) = (x.as_chunks::<W>().0, w.as_chunks::<W>().0);
        let starts = starts::<L, W>(rules, R as f32, x, w);

        let mut scales = [0.0; SUPER / 16];
        let mut largest = 0.0f32;
        for (i, (x, w)) in x.iter().zip(w).enumerate() {
            let signs = &mut codes.signs[i * W / 8..(i + 1) * W / 8];
            let Some(start) = starts[i] else {
                signs.fill(0);
                continue;
            };
            let Fit { mut scale, points } = self.fit::<L, W>(rules, x, w, start)?;
            if scale < 0.0 {
                scale = -scale;
                signs.iter_mut().for_each(|signs| *signs = !*signs);
            }
            if scale.is_nan() {
                return None;
            }
            let count = W / (2 * H);
            for (number, &point) in codes.points[i * count..(i + 1) * count].iter_mut().zip(&points) {
                *number = self.lattice.number(point)?;
            }
            codes.live[i] = true;
            scales[i] = scale;
            largest = if largest > scale { largest } else { scale };
        }
        if largest == 0.0 {
            // All scales are zero: the formats that store every sign still write signs and indices; the others write
            // zeros.
            if rules.even_signs {
                codes.signs.fill(0);
                codes.points.fill(0);
            }
            return Some(codes);
        }
        let d = largest / 31.0;
        codes.d = f16_from_f32(d * rules.fudge).to_le_bytes();
        let inverse = 1.0 / d;
        for (code, scale) in codes.scales.iter_mut().zip(scales) {
            *code = nearest_int(0.5 * (inverse * scale - 1.0)).clamp(0, 15) as u8;
        }
        Some(codes)
    }

    /// The best scale for `W` non-negative weights, and their points.
    fn fit<L: Lanes, const W: usize>(
        &self,
        rules: &Rules,
        x: &[f32; W],
        w: &[f32; W],
        start: Candidate,
    ) -> Option<Fit> {
        let count = W / (2 * H);
        let root: [f32; W] = w.map(f32::sqrt);
        let wx: [f32; W] = std::array::from_fn(|i| w[i] * x[i]);
        let (halves, roots) = (pairs(x), pairs(&root));
        let top = (2 * R - 1) as f32;

        let mut best = 0.0f32;
        let mut scale = start.scale;
        let mut points = [[0; 2]; POINTS];
        let mut off_grid = [rules.refine == Refine::AllIfOffGrid; POINTS];

        let mut first = -rules.candidates;
        while first <= rules.candidates {
            let live = L::N.min((rules.candidates - first) as usize + 1);
            let step = L::from_fn(|lane| f32::from(first + lane as i8));
            let inverse = (L::splat(top) + step * L::splat(rules.step)) / L::splat(start.largest);
            let scales = L::splat(1.0) / inverse;
            let mut level = [L::splat(0.0); W];
            let mut candidates = [[L::splat(0.0); 2]; POINTS];
            let mut moved = [[false; 8]; POINTS];
            for k in 0..count {
                let rounded =
                    self.round(inverse, &x[2 * H * k..2 * H * (k + 1)], &mut level[2 * H * k..2 * H * (k + 1)]);
                candidates[k] = rounded;
                for lane in 0..live {
                    let point = rounded.map(|half| half.int(lane) as u8);
                    if self.lattice.number(point).is_none() {
                        moved[k][lane] = true;
                    }
                }
                if moved[k] != [false; 8] {
                    let mut found = [[0u8; 2]; 8];
                    for lane in 0..live {
                        found[lane] = rounded.map(|half| half.int(lane) as u8);
                        if moved[k][lane] {
                            found[lane] = self.nearest(found[lane], &halves[k], &roots[k], scales.lane(lane))?;
                        }
                    }
                    for half in 0..2 {
                        candidates[k][half] = L::from_fn(|lane| f32::from(found[lane][half]));
                        for i in 0..H {
                            level[2 * H * k + half * H + i] =
                                L::from_fn(|lane| self.levels[usize::from(found[lane][half])][i]);
                        }
                    }
                }
            }
            let (mut sumqx, mut sumq2) = (L::splat(0.0), L::splat(0.0));
            for i in 0..W {
                sumqx = sumqx + L::splat(wx[i]) * level[i];
                sumq2 = sumq2 + L::splat(w[i]) * level[i] * level[i];
            }
            for lane in 0..live {
                let (sumqx, sumq2) = (sumqx.lane(lane), sumq2.lane(lane));
                if sumq2 > 0.0 && sumqx * sumqx > best * sumq2 {
                    scale = sumqx / sumq2;
                    best = scale * sumqx;
                    for k in 0..count {
                        points[k] = candidates[k].map(|half| half.int(lane) as u8);
                        off_grid[k] = moved[k][lane];
                    }
                }
            }
            first += L::N as i8;
        }

        let any = off_grid[..count].contains(&true);
        let again = |k: usize| match rules.refine {
            Refine::OffGrid => off_grid[k],
            Refine::AllIfOffGrid => any,
            Refine::All => true,
        };
        if scale > 0.0 && (0..count).any(again) {
            let inverse = 1.0 / scale;
            for k in (0..count).filter(|&k| again(k)) {
                let mut level = [0.0; 8];
                let rounded = self.round(inverse, &x[2 * H * k..2 * H * (k + 1)], &mut level[..2 * H]);
                points[k] = rounded.map(|half| half as u8);
                if self.lattice.number(points[k]).is_none() {
                    points[k] = self.nearest(points[k], &halves[k], &roots[k], scale)?;
                }
            }
            let (mut sumqx, mut sumq2) = (0.0f32, 0.0f32);
            for i in 0..W {
                let level = self.levels[usize::from(points[i / (2 * H)][i / H % 2])][i % H];
                sumqx += wx[i] * level;
                sumq2 += w[i] * level * level;
            }
            if sumq2 > 0.0 {
                scale = sumqx / sumq2;
            }
        }
        Some(Fit { scale, points })
    }

    /// [`Lattice::nearest`], four neighbours at a time if points have four digits.
    #[inline(always)]
    fn nearest(&self, point: Point, x: &[[f32; H]; 2], w: &[[f32; H]; 2], scale: f32) -> Option<Point> {
        match (&self.quads, x.as_flattened().try_into(), w.as_flattened().try_into()) {
            (Some(quads), Ok(x), Ok(w)) => {
                let place = quads.nearest(Lattice::<H, R>::key(point), x, w, scale)?;
                Some(self.lattice.neighbours(point)[place])
            }
            _ => self.lattice.nearest(point, &self.levels, x, w, scale),
        }
    }

    /// Rounds the weights of a point to odd levels `2 digit + 1` and returns the halves of the point.
    #[inline(always)]
    fn round<L: Lanes>(&self, inverse: L, x: &[f32], level: &mut [L]) -> [L; 2] {
        let mut halves = [L::splat(0.0); 2];
        for (half, (x, level)) in halves.iter_mut().zip(x.chunks_exact(H).zip(level.chunks_exact_mut(H))) {
            let mut place = 1.0;
            for (&x, level) in x.iter().zip(level) {
                let digit = (L::splat(0.5) * (inverse * L::splat(x) - L::splat(1.0))).nearest_int();
                let digit = digit.min(L::splat((R - 1) as f32)).max(L::splat(0.0));
                *level = digit + digit + L::splat(1.0);
                *half = *half + digit * L::splat(place);
                place *= R as f32;
            }
        }
        halves
    }
}

/// Splits the weights into points and these into halves.
fn pairs<const W: usize, const H: usize>(values: &[f32; W]) -> &[[[f32; H]; 2]] {
    values.as_chunks::<H>().0.as_chunks::<2>().0
}
