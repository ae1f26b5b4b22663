//! NumPy's arithmetic where the result of a reference depends on it: equal-width histograms and floor division in
//! `float32`.

/// `numpy.linspace(-half, half, bins + 1, dtype=float32)`.
pub fn symmetric_edges(half: f32, bins: usize) -> Vec<f32> {
    let step = (half + half) / bins as f32;
    let mut edges: Vec<f32> = (0..=bins).map(|i| i as f32 * step - half).collect();
    if let Some(last) = edges.last_mut() {
        *last = half;
    }
    edges
}

/// Adds `numpy.histogram(values, bins, range=(edges[0], edges[bins]))` to `counts`; values outside the range are
/// ignored.
pub fn count(values: &[f32], edges: &[f32], counts: &mut [u64]) {
    let bins = counts.len();
    let (first, last) = (edges[0], edges[bins]);
    let (width, scale) = (last - first, bins as f32);
    for &x in values {
        if x < first || x > last {
            continue;
        }
        // A saturating cast: the quotient is 0..=bins except for rounding.
        let mut i = (((x - first) / width * scale) as usize).min(bins - 1);
        // Rounding may be off by one bin; NumPy corrects that with the edges.
        if x < edges[i] && i > 0 {
            i -= 1;
        }
        if i + 1 < bins && x >= edges[i + 1] {
            i += 1;
        }
        counts[i] += 1;
    }
}

/// `a // b` of two positive `float32`: the floor of the exact quotient, as computed with C's `fmod`.
pub fn floor_divide(a: f32, b: f32) -> f32 {
    let quotient = (a - a % b) / b;
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}
