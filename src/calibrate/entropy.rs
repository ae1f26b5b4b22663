//! Entropy calibration: the clipping range that loses the least information, as computed by two references.
//!
//! Both iterate over candidate ranges of a histogram, from small to large. For each, the *reference* distribution `p`
//! is the clipped histogram with the mass outside added to its outermost bins; the *candidate* `q` is the same
//! histogram quantized to the given number of levels and expanded over the non-empty bins. The range with the smallest
//! `KL(p || q) = sum p ln(p / q)` wins. The two references differ in almost every detail beyond that.
//!
//! Computing all of up to 16,384 candidates from their bins takes seconds. Therefore all are first estimated from
//! prefix sums over the bins, in time that depends only on the number of levels. Only those within a margin of the
//! smallest estimate, far wider than any rounding error, are then computed as in the reference and can win.

use super::histogram::{MagnitudeHistogram, SymmetricHistogram};
use super::min_max::MinMax;
use std::ops::Range;

/// The largest magnitude to keep by TensorRT's algorithm, as published in nvidia-modelopt; 0 if all values are zero.
///
/// It uses a histogram of magnitudes. Bin 0 takes the count of bin 1 (zeros say nothing about the range); candidates
/// start at bin 128; mass outside is added to `p` but not to `q`; the last candidate wins a tie.
/// Source: modelopt `calib/histogram.py`, `_compute_amax_entropy` (Apache-2.0).
pub fn tensorrt(histogram: &MagnitudeHistogram, levels: usize) -> f64 {
    const FIRST: usize = 128;
    let mut counts: Vec<f64> = histogram.counts.iter().map(|&n| n as f64).collect();
    counts[0] = counts[1];
    let sums = RunningSums::of(&counts);
    let candidates = FIRST.min(counts.len())..=counts.len();
    let estimates: Vec<f64> = candidates.clone().map(|end| estimate_from_zero(&sums, end, levels)).collect();
    let mut best = (f64::INFINITY, counts.len());
    let mut squeezed = vec![0.0; levels];
    for end in near_least(candidates, &estimates, 1e-8) {
        let outside = sums.values(end..counts.len());
        let divergence = divergence_from_zero(&counts[..end], outside, &mut squeezed);
        if divergence <= best.0 {
            best = (divergence, end);
        }
    }
    best.1 as f64 * histogram.width
}

/// The candidates whose estimates are within `margin` of the smallest one; none if all are infinite.
fn near_least(candidates: impl Iterator<Item = usize>, estimates: &[f64], margin: f64) -> impl Iterator<Item = usize> {
    let least = estimates.iter().copied().fold(f64::INFINITY, f64::min);
    let near = move |(_, estimate): &(usize, &f64)| least.is_finite() && **estimate <= least + margin;
    candidates.zip(estimates).filter(near).map(|(candidate, _)| candidate)
}

/// Prefix sums: the sums over all bins before each bin.
struct RunningSums {
    /// The sums of `n`, `n ln n`, `ln n` and `1 / n`; the last three over non-empty bins.
    sums: Vec<[f64; 4]>,
    /// The number of non-empty bins.
    filled: Vec<usize>,
    /// The counts of the non-empty bins.
    counts: Vec<f64>,
}

impl RunningSums {
    fn of(counts: &[f64]) -> Self {
        let mut all = RunningSums { sums: vec![[0.0; 4]], filled: vec![0], counts: Vec::new() };
        let mut sums = [0.0; 4];
        for &n in counts {
            if n > 0.0 {
                let ln = libm::log(n);
                for (sum, term) in sums.iter_mut().zip([n, n * ln, ln, 1.0 / n]) {
                    *sum += term;
                }
                all.counts.push(n);
            }
            all.sums.push(sums);
            all.filled.push(all.counts.len());
        }
        all
    }

    fn over(&self, bins: &Range<usize>) -> [f64; 4] {
        let (from, to) = (self.sums[bins.start], self.sums[bins.end]);
        std::array::from_fn(|i| to[i] - from[i])
    }

    /// The number of values in a range of bins; exact, because counts stay far below 2^53.
    fn values(&self, bins: Range<usize>) -> f64 {
        self.over(&bins)[0]
    }

    /// The number of non-empty bins in a range.
    fn filled(&self, bins: &Range<usize>) -> usize {
        self.filled[bins.end] - self.filled[bins.start]
    }

    /// The sum of `(n - less) ln(n - less)` over the non-empty bins of a range; `less` is below 1.
    fn lowered(&self, bins: &Range<usize>, less: f64) -> f64 {
        if less > 0.01 {
            // Only called for ranges with few non-empty bins.
            let counts = &self.counts[self.filled[bins.start]..self.filled[bins.end]];
            return counts.iter().map(|n| x_ln_x(n - less)).sum();
        }
        let [_, n_ln_n, ln, inverse] = self.over(bins);
        n_ln_n - less * (ln + self.filled(bins) as f64) + less * less / 2.0 * inverse
    }
}

fn x_ln_x(x: f64) -> f64 {
    if x > 0.0 { x * libm::log(x) } else { 0.0 }
}

/// [`divergence_from_zero`] of the bins before `end`, except for rounding.
fn estimate_from_zero(sums: &RunningSums, end: usize, levels: usize) -> f64 {
    let all = sums.sums.len() - 1;
    let (kept, outside, last) = (sums.values(0..end), sums.values(end..all), sums.values(end - 1..end));
    if kept == 0.0 || (outside > 0.0 && last == 0.0) {
        return f64::INFINITY;
    }
    let mut of_q = 0.0;
    let mut start = 0;
    for level in 0..levels {
        let bins = start..((level + 1) * end).div_ceil(levels);
        start = bins.end;
        let (sum, filled) = (sums.values(bins.clone()), sums.filled(&bins));
        if filled > 0 {
            let more = if bins.end == end { outside } else { 0.0 };
            of_q += (sum + more) * libm::log(sum / filled as f64);
        }
    }
    let (of_p, whole) = (sums.over(&(0..end - 1))[1] + x_ln_x(last + outside), kept + outside);
    (of_p - of_q) / whole + libm::log(kept / whole)
}

/// `KL(p || q)` of the first bins, with `outside` values beyond them.
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
                // Only the last bin: mass outside was added to a bin where q is zero.
                return f64::INFINITY;
            }
            let q = squeezed[j * levels / end];
            divergence += p / whole * libm::log(p / whole / (q / kept));
        }
    }
    divergence
}

/// The range to keep by ONNX Runtime's algorithm, before it is intersected with the observed range.
///
/// It uses a histogram symmetric about 0; `levels` levels regardless of the codes; integer truncation when `q` is
/// expanded; zeros of both distributions replaced by 0.0001, with the other bins lowered to compensate; single
/// precision; the first candidate wins a tie. Source: ONNX Runtime `quantization/calibrate.py`, `get_entropy_threshold`
/// (MIT).
pub fn onnx_runtime(histogram: &SymmetricHistogram, levels: usize) -> MinMax {
    let (counts, edges) = (&histogram.counts, histogram.edges());
    let bins = counts.len();
    let middle = bins / 2;
    let mut prefix = vec![0u64; bins + 1];
    for (i, &n) in counts.iter().enumerate() {
        prefix[i + 1] = prefix[i] + n;
    }
    let sums = RunningSums::of(&counts.iter().map(|&n| n as f64).collect::<Vec<_>>());
    let candidates = levels / 2..=middle;
    let within = |half: usize| middle - half..(middle + half + 1).min(bins);
    let estimates: Vec<f64> =
        candidates.clone().map(|half| estimate_of_halves(&sums, &prefix, within(half), levels)).collect();
    // If no candidate is finite, the first one wins.
    let mut best = candidates.clone().next().map(|half| (f32::INFINITY, half));
    for half in near_least(candidates, &estimates, 1e-4) {
        let (p, q) = distributions(counts, &prefix, within(half), levels);
        let divergence = match (smooth(&p), smooth(&q)) {
            (Some(p), Some(q)) => divergence(&p, &q),
            _ => f32::INFINITY,
        };
        if best.is_none_or(|(least, _)| divergence < least) {
            best = Some((divergence, half));
        }
    }
    match best.map(|(_, half)| within(half)) {
        Some(bins) => MinMax { min: edges[bins.start], max: edges[bins.end] },
        None => MinMax { min: -histogram.threshold, max: histogram.threshold },
    }
}

/// The two distributions of a candidate, before smoothing.
fn distributions(counts: &[u64], prefix: &[u64], within: Range<usize>, levels: usize) -> (Vec<u64>, Vec<u64>) {
    let (start, end, bins) = (within.start, within.end, counts.len());
    let mut p = counts[within].to_vec();
    let merged = p.len() / levels;
    if let [first, .., last] = p.as_mut_slice() {
        *first += prefix[start];
        *last += prefix[bins] - prefix[end];
    }
    let mut q = vec![0; p.len()];
    for level in 0..levels {
        let at = level * merged..(level + 1) * merged;
        // The last level also takes the remaining bins, but is only expanded over its own.
        let stop = if level + 1 == levels { end } else { start + at.end };
        let filled = p[at.clone()].iter().filter(|n| **n != 0).count() as u64;
        // Dividing in f64 and truncating equals integer division, because counts stay far below 2^53.
        if let Some(share) = (prefix[stop] - prefix[start + at.start]).checked_div(filled) {
            q[at].fill(share);
        }
    }
    (p, q)
}

/// The divergence of a candidate, except for single-precision rounding.
fn estimate_of_halves(sums: &RunningSums, prefix: &[u64], within: Range<usize>, levels: usize) -> f64 {
    let (start, end, bins) = (within.start, within.end, prefix.len() - 1);
    let (merged, length) = ((end - start) / levels, end - start);
    let tail = start + levels * merged..end;
    // Mass outside is added to the outermost bins, which may be empty themselves.
    let ends = [(start, prefix[start]), (end - 1, prefix[bins] - prefix[end])];
    let count = |bin: usize| prefix[bin + 1] - prefix[bin];
    let of_p = |bins: &Range<usize>| {
        let (mut values, mut filled) = (sums.values(bins.clone()), sums.filled(bins));
        for (bin, outside) in ends {
            if bins.contains(&bin) {
                values += outside as f64;
                filled += usize::from(count(bin) == 0 && outside > 0);
            }
        }
        (values, filled)
    };
    let (all, filled) = of_p(&within);
    let Some(p_less) = smoothing(length - filled, filled) else { return f64::INFINITY };
    let level_bins = |level: usize| start + level * merged..start + (level + 1) * merged;
    let share = |level: usize| {
        let bins = level_bins(level);
        let stop = if level + 1 == levels { end } else { bins.end };
        (prefix[stop] - prefix[bins.start]).checked_div(of_p(&bins).1 as u64).unwrap_or(0)
    };
    let shares: Vec<u64> = (0..levels).map(share).collect();
    let q_filled = shares.iter().filter(|share| **share > 0).count() * merged;
    let Some(q_less) = smoothing(length - q_filled, q_filled) else { return f64::INFINITY };

    let smoothed =
        |(values, filled): (f64, usize), bins: usize| values - p_less * filled as f64 + EPS * (bins - filled) as f64;
    let (mut all_q, mut p_ln_q) = (0.0, 0.0);
    for (level, &share) in shares.iter().enumerate() {
        let q = if share > 0 { share as f64 - q_less } else { EPS };
        all_q += q * merged as f64;
        p_ln_q += smoothed(of_p(&level_bins(level)), merged) * libm::log(q);
    }
    all_q += EPS * tail.len() as f64;
    p_ln_q += smoothed(of_p(&tail), tail.len()) * libm::log(EPS);
    let inner = sums.lowered(&(start + 1..end - 1), p_less);
    let outer: f64 = ends.iter().map(|&(bin, outside)| x_ln_x((count(bin) + outside) as f64 - p_less)).sum();
    let p_ln_p = inner + outer + x_ln_x(EPS) * (length - filled) as f64;
    let all_p = smoothed((all, filled), length);
    (p_ln_p - p_ln_q) / all_p + libm::log(all_q / all_p)
}

/// The replacement for zeros.
const EPS: f64 = 0.0001;

/// The amount subtracted from each non-empty bin to compensate; `None` if that is impossible.
fn smoothing(zeros: usize, filled: usize) -> Option<f64> {
    let share = EPS * zeros as f64 / filled as f64;
    (filled > 0 && share < 1.0).then_some(share)
}

/// Replaces zeros by 0.0001 and subtracts the same total from the other bins; `None` if that is impossible.
fn smooth(counts: &[u64]) -> Option<Vec<f32>> {
    let zeros = counts.iter().filter(|n| **n == 0).count();
    let share = smoothing(zeros, counts.len() - zeros)?;
    Some(counts.iter().map(|&n| n as f32 + if n == 0 { EPS as f32 } else { -share as f32 }).collect())
}

/// `sum p ln(p / q)` of two positive distributions after normalization, in single precision except for the sums.
fn divergence(p: &[f32], q: &[f32]) -> f32 {
    let sum = |x: &[f32]| x.iter().map(|&x| f64::from(x)).sum::<f64>() as f32;
    let (all_p, all_q) = (sum(p), sum(q));
    let terms = p.iter().zip(q).map(|(p, q)| {
        let (p, q) = (p / all_p, q / all_q);
        f64::from(p * libm::logf(p / q))
    });
    terms.sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Histograms of all kinds: dense, nearly empty, with one bin, with empty ends, with huge counts.
    fn histograms() -> Vec<Vec<u64>> {
        let mut state = 7u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut all = Vec::new();
        for bins in [128, 129, 256, 300, 1001] {
            for kind in 0..8u64 {
                let mut counts = vec![0u64; bins];
                for (i, n) in counts.iter_mut().enumerate() {
                    let far = (i as f64 / bins as f64 - 0.5).abs() * 8.0;
                    let bell = libm::exp(-far * far / 2.0);
                    *n = match kind {
                        0 => (bell * 1e4) as u64 + next() % 3,
                        1 => u64::from(next() % 150 == 0) * (1 + next() % 5),
                        2 => u64::from(i == bins / 2) * 1000 + u64::from(i == 0),
                        3 => (bell * 20.0) as u64 * (next() % 2),
                        4 => next() % 2,
                        5 => (bell * 1e12) as u64 + next(),
                        6 => u64::from(i > bins / 3 && i < bins / 2) * (1 + next() % 100),
                        _ => 0,
                    };
                }
                all.push(counts);
            }
        }
        all
    }

    #[test]
    fn onnx_runtime_estimates_keep_the_result_of_an_exhaustive_search() {
        for counts in histograms() {
            for levels in [2, 16, 128] {
                let histogram = SymmetricHistogram::new(counts.len()).with(1.0, counts.clone());
                let (bins, middle, edges) = (counts.len(), counts.len() / 2, histogram.edges());
                let mut prefix = vec![0u64; bins + 1];
                for (i, &n) in counts.iter().enumerate() {
                    prefix[i + 1] = prefix[i] + n;
                }
                let sums = RunningSums::of(&counts.iter().map(|&n| n as f64).collect::<Vec<_>>());
                let mut best: Option<(f32, MinMax)> = None;
                for half in levels / 2..=middle {
                    let within = middle - half..(middle + half + 1).min(bins);
                    let (p, q) = distributions(&counts, &prefix, within.clone(), levels);
                    let divergence = match (smooth(&p), smooth(&q)) {
                        (Some(p), Some(q)) => divergence(&p, &q),
                        _ => f32::INFINITY,
                    };
                    if best.is_none_or(|(least, _)| divergence < least) {
                        best = Some((divergence, MinMax { min: edges[within.start], max: edges[within.end] }));
                    }
                    let estimate = estimate_of_halves(&sums, &prefix, within, levels);
                    let off = (estimate - f64::from(divergence)).abs();
                    assert!(estimate == f64::from(divergence) || off < 2e-5, "{estimate} for {divergence}");
                }
                assert_eq!(Some(onnx_runtime(&histogram, levels)), best.map(|(_, range)| range));
            }
        }
    }

    #[test]
    fn tensorrt_estimates_keep_the_result_of_an_exhaustive_search() {
        for counts in histograms() {
            for levels in [2, 8, 128, 256] {
                let histogram = MagnitudeHistogram::new(counts.len()).with(1.0, counts.clone());
                let mut floats: Vec<f64> = counts.iter().map(|&n| n as f64).collect();
                floats[0] = floats[1];
                let sums = RunningSums::of(&floats);
                let mut best = (f64::INFINITY, counts.len());
                for end in 128.min(counts.len())..=counts.len() {
                    let outside = floats[end..].iter().sum();
                    let divergence = divergence_from_zero(&floats[..end], outside, &mut vec![0.0; levels]);
                    if divergence <= best.0 {
                        best = (divergence, end);
                    }
                    let estimate = estimate_from_zero(&sums, end, levels);
                    assert!(estimate == divergence || (estimate - divergence).abs() < 1e-9);
                }
                assert_eq!(tensorrt(&histogram, levels), best.1 as f64);
            }
        }
    }
}
