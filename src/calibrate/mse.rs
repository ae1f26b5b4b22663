//! MSE calibration: the clipping range of a histogram with the smallest squared quantization error.

use super::histogram::SpanHistogram;
use super::min_max::MinMax;

/// Searches the range to keep. Quantile bounds move inwards from both ends, 0.00001 of the mass at a time, on the side
/// where that skips more bins. The search ends when the error starts to increase.
///
/// Source: PyTorch `HistogramObserver._non_linear_param_search` (BSD-3-Clause), here in double precision.
pub fn search(histogram: &SpanHistogram, min_max: MinMax, levels: usize) -> MinMax {
    const STEP: f64 = 1e-5;
    let counts = &histogram.counts;
    let total: f64 = counts.iter().sum();
    let mut below = 0.0;
    let cumulative: Vec<f64> = counts
        .iter()
        .map(|n| {
            below += n;
            below
        })
        .collect();

    let (mut alpha, mut beta) = (0.0, 1.0);
    let (mut start, mut end) = (0, counts.len() - 1);
    let mut least = f64::INFINITY;
    while alpha < beta {
        let (next_alpha, next_beta) = (alpha + STEP, beta - STEP);
        let (mut left, mut right) = (start, end);
        while left < end && cumulative[left] < next_alpha * total {
            left += 1;
        }
        while right > start && cumulative[right] > next_beta * total {
            right -= 1;
        }
        let (mut next_start, mut next_end) = (start, end);
        if left - start > end - right {
            next_start = left;
            alpha = next_alpha;
        } else {
            next_end = right;
            beta = next_beta;
        }
        if (next_start, next_end) == (start, end) {
            continue;
        }
        let error = clip_error(counts, next_start, next_end, levels);
        if error > least {
            break;
        }
        least = error;
        (start, end) = (next_start, next_end);
    }
    let min = f64::from(min_max.min);
    let width = (f64::from(min_max.max) - min) / counts.len() as f64;
    MinMax { min: (min + width * start as f64) as f32, max: (min + width * (end + 1) as f64) as f32 }
}

/// The squared error of quantizing bins `start..=end` to `levels` levels and clipping the others, with the values of a
/// bin distributed uniformly over it; in units of the squared bin width.
fn clip_error(counts: &[f64], start: usize, end: usize, levels: usize) -> f64 {
    // Bins have width 1 here, because a common factor does not affect the comparison.
    let step = (end + 1 - start) as f64 / levels as f64;
    let half = step / 2.0;
    // The integral of x^2 from a to b.
    let square = |a: f64, b: f64| (b * b * b - a * a * a) / 3.0;
    let last = (levels - 1) as f64;
    let mut error = 0.0;
    for (bin, &n) in counts.iter().enumerate().filter(|(_, n)| **n != 0.0) {
        let from = bin as f64 - start as f64;
        let to = from + 1.0;
        let first_level = (from / step).floor().clamp(0.0, last);
        let last_level = (to / step).floor().clamp(0.0, last);
        // The parts in the first level, the whole levels between, and the last level: PyTorch's sum. It also holds for
        // a bin within one level, for which the middle term is minus one whole level.
        let head = square(from - (first_level * step + half), half);
        let whole = (last_level - first_level - 1.0) * square(-half, half);
        let tail = square(-half, to - (last_level * step + half));
        error += n * (head + whole + tail);
    }
    error
}
