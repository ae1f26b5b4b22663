//! Entropy calibration: the clip that loses least information, as two references compute it.
//!
//! Both walk outwards over candidate clips of a histogram. For each, the *reference* distribution `p` is the clipped
//! histogram with the mass outside added to its outermost bins; the *candidate* `q` is the same histogram squeezed into
//! the quantizer's levels and stretched back over the bins that are not empty. The clip with least
//! `KL(p || q) = sum p ln(p / q)` wins. They differ in nearly every detail beyond that.

use super::extent::Extent;
use super::histogram::{MagnitudeHistogram, SymmetricHistogram};

/// The largest magnitude to keep, by TensorRT's rule as nvidia-modelopt publishes it; 0 if there are only zeros.
///
/// Magnitudes only; bin 0 takes the count of bin 1 (zeros say nothing about the clip); candidates from bin 128 on; mass
/// outside goes to `p` but not to `q`; of equal candidates the last wins.
/// Source: modelopt `calib/histogram.py`, `_compute_amax_entropy` (Apache-2.0).
pub fn tensorrt(histogram: &MagnitudeHistogram, levels: usize) -> f64 {
    const FIRST: usize = 128;
    let mut counts: Vec<f64> = histogram.counts.iter().map(|&n| n as f64).collect();
    counts[0] = counts[1];
    let total: f64 = counts.iter().sum();
    let mut inside: f64 = counts.iter().take(FIRST.min(counts.len()) - 1).sum();
    let mut best = (f64::INFINITY, counts.len());
    let mut squeezed = vec![0.0; levels];
    for end in FIRST.min(counts.len())..=counts.len() {
        inside += counts[end - 1];
        let outside = total - inside;
        let divergence = divergence_from_zero(&counts[..end], outside, &mut squeezed);
        if divergence <= best.0 {
            best = (divergence, end);
        }
    }
    best.1 as f64 * histogram.width
}

/// `KL(p || q)` of the first bins with `outside` values beyond them.
fn divergence_from_zero(counts: &[f64], outside: f64, squeezed: &mut [f64]) -> f64 {
    let (end, levels) = (counts.len(), squeezed.len());
    squeezed.fill(0.0);
    let mut kept = 0.0;
    let mut start = 0;
    for level in 0..levels {
        // Bin j belongs to level floor(j * levels / end).
        let stop = ((level + 1) * end).div_ceil(levels);
        let bins = &counts[start..stop];
        let filled = bins.iter().filter(|n| **n != 0.0).count();
        if filled > 0 {
            let sum: f64 = bins.iter().sum();
            squeezed[level] = sum / filled as f64;
            kept += sum;
        }
        start = stop;
    }
    if kept == 0.0 {
        return f64::INFINITY;
    }
    let whole = kept + outside;
    let mut divergence = 0.0;
    for (j, &n) in counts.iter().enumerate() {
        let p = if j + 1 == end { n + outside } else { n };
        if p > 0.0 {
            if n == 0.0 {
                // Only the last bin: mass was moved to where q has none.
                return f64::INFINITY;
            }
            let q = squeezed[j * levels / end];
            divergence += p / whole * libm::log(p / whole / (q / kept));
        }
    }
    divergence
}

/// The range to keep, by ONNX Runtime's rule, before it is cut to what was observed.
///
/// A histogram symmetric about 0; `levels` levels whatever the codes; integer truncation where `q` is stretched; zeros
/// of both distributions replaced by 0.0001 and the rest lowered to pay for it; single precision; the first of equal
/// candidates wins. Source: ONNX Runtime `quantization/calibrate.py`, `get_entropy_threshold` (MIT).
pub fn onnx_runtime(histogram: &SymmetricHistogram, levels: usize) -> Extent {
    let (counts, edges) = (&histogram.counts, histogram.edges());
    let bins = counts.len();
    let middle = bins / 2;
    let mut prefix = vec![0u64; bins + 1];
    for (i, &n) in counts.iter().enumerate() {
        prefix[i + 1] = prefix[i] + n;
    }
    let mut best: Option<(f32, Extent)> = None;
    let (mut p, mut q) = (Vec::new(), Vec::new());
    for half in levels / 2..=middle {
        let (start, end) = (middle - half, (middle + half + 1).min(bins));
        p.clear();
        p.extend_from_slice(&counts[start..end]);
        let merged = p.len() / levels;
        if let [first, .., last] = p.as_mut_slice() {
            *first += prefix[start];
            *last += prefix[bins] - prefix[end];
        }
        q.clear();
        q.resize(p.len(), 0);
        for level in 0..levels {
            let at = level * merged..(level + 1) * merged;
            // The last level also takes the bins that are left over, but is stretched over its own only.
            let stop = if level + 1 == levels { end } else { start + at.end };
            let filled = p[at.clone()].iter().filter(|n| **n != 0).count() as u64;
            // Dividing in f64 and truncating is dividing the integers: counts stay far below 2^53.
            if let Some(share) = (prefix[stop] - prefix[start + at.start]).checked_div(filled) {
                q[at.clone()].fill(share);
            }
        }
        let divergence = match (smooth(&p), smooth(&q)) {
            (Some(p), Some(q)) => divergence(&p, &q),
            _ => f32::INFINITY,
        };
        if best.is_none_or(|(least, _)| divergence < least) {
            best = Some((divergence, Extent { min: edges[start], max: edges[end] }));
        }
    }
    best.map_or(Extent { min: -histogram.threshold, max: histogram.threshold }, |(_, range)| range)
}

/// Replaces zeros by 0.0001 and takes the same amount off the rest; `None` where that is impossible.
fn smooth(counts: &[u64]) -> Option<Vec<f32>> {
    const EPS: f64 = 0.0001;
    let zeros = counts.iter().filter(|n| **n == 0).count();
    let rest = counts.len() - zeros;
    let share = EPS * zeros as f64 / rest as f64;
    if rest == 0 || share >= 1.0 {
        return None;
    }
    Some(counts.iter().map(|&n| n as f32 + if n == 0 { EPS as f32 } else { -share as f32 }).collect())
}

/// `sum p ln(p / q)` of two positive distributions, normalized, in single precision but for the sums.
fn divergence(p: &[f32], q: &[f32]) -> f32 {
    let sum = |x: &[f32]| x.iter().map(|&x| f64::from(x)).sum::<f64>() as f32;
    let (all_p, all_q) = (sum(p), sum(q));
    let terms = p.iter().zip(q).map(|(p, q)| {
        let (p, q) = (p / all_p, q / all_q);
        f64::from(p * libm::logf(p / q))
    });
    terms.sum::<f64>() as f32
}
