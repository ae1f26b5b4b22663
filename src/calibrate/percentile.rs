//! Percentiles with linear interpolation, NumPy's default method.

/// Returns the `percent`-th percentile of `values`, which are reordered; `None` if there are none or `percent` is not
/// in 0 to 100.
///
/// It is at the fractional index `percent / 100 * (n - 1)` of the sorted values. Between two neighbours `a` and `b` it
/// is `a + (b - a) t`, or `b - (b - a)(1 - t)` from `t = 0.5`, which makes it exact at both ends and monotonic. Takes
/// linear time, because the two neighbours are selected without sorting. Source: NumPy `lib/_function_base_impl.py`,
/// `_lerp`.
pub fn percentile(values: &mut [f32], percent: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=100.0).contains(&percent) {
        return None;
    }
    let at = percent / 100.0 * (values.len() - 1) as f64;
    // In range: 0 <= at <= n - 1.
    let (whole, t) = (at.floor() as usize, at - at.floor());
    let (_, a, above) = values.select_nth_unstable_by(whole, f32::total_cmp);
    let a = f64::from(*a);
    let b = above.iter().copied().min_by(f32::total_cmp).map_or(a, f64::from);
    Some(if t >= 0.5 { b - (b - a) * (1.0 - t) } else { a + (b - a) * t })
}
