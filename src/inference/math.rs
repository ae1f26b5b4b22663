//! Functions of single values and of rows: exp, SiLU, GELU, softmax, RMS norm.
//!
//! Each is computed in the same order of the same IEEE operations on every target, so the same input gives the same
//! bits everywhere. Sums run from the first element to the last.

use crate::half::{f16_from_f32, f16_to_f32};
use crate::round::MAGIC;

/// `e^x`. The relative error is below 2e-7.
///
/// The reduction and the polynomial are those of Cephes' `expf`, without branches, so that loops over it vectorise.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these bounds the result is 0 or infinite; NaN passes both comparisons.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = r * 1.987_569_1e-4 + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_1e-1;
    let y = p * (r * r) + r + 1.0;
    // 2^n in two factors, because n reaches -150 and 128.
    let n = (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32);
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// SiLU: `x / (1 + e^-x)`.
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `cap * tanh(x / cap)`, in the order of operations of llama.cpp.
pub fn soft_cap(values: &mut [f32], cap: f32) {
    let inverse = 1.0 / cap;
    for x in values {
        *x = libm::tanhf(*x * inverse) * cap;
    }
}

/// GELU in its tanh form as ggml tabulates it: argument and value are rounded to F16.
pub struct Gelu(Vec<f32>);

impl Gelu {
    /// Computes the table of 65536 values.
    pub fn new() -> Self {
        const SQRT_2_OVER_PI: f32 = 0.797_884_56;
        let value = |x: f32| 0.5 * x * (1.0 + libm::tanhf(SQRT_2_OVER_PI * x * (1.0 + 0.044715 * x * x)));
        Gelu((0..=u16::MAX).map(|h| f16_to_f32(f16_from_f32(value(f16_to_f32(h))))).collect())
    }

    /// The value for `x`: 0 up to -10, `x` itself from 10 on.
    pub fn of(&self, x: f32) -> f32 {
        match x {
            x if x <= -10.0 => 0.0,
            x if x >= 10.0 => x,
            _ => self.0.get(usize::from(f16_from_f32(x))).copied().unwrap_or(f32::NAN),
        }
    }
}

impl Default for Gelu {
    fn default() -> Self {
        Gelu::new()
    }
}

/// Replaces a row by its softmax. The sum is in double precision.
pub fn softmax(row: &mut [f32]) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for x in row.iter_mut() {
        *x = exp(*x - max);
    }
    let sum: f64 = row.iter().fold(0.0, |sum, x| sum + f64::from(*x));
    let scale = (1.0 / sum) as f32;
    for x in row {
        *x *= scale;
    }
}

/// Divides a row by its root mean square and multiplies it by `weight`. The sum is in double precision, of squares in
/// single precision, as in ggml.
pub fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let sum: f64 = row.iter().fold(0.0, |sum, x| sum + f64::from(x * x));
    let mean = (sum / row.len() as f64) as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(row).zip(weight) {
        *out = x * scale * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_exact_one_everywhere() {
        let mut worst: f64 = 0.0;
        for bits in (0..u32::MAX).step_by(9973) {
            let x = f32::from_bits(bits);
            let (ours, exact) = (exp(x), libm::exp(f64::from(x)));
            if exact > f64::from(f32::MIN_POSITIVE) && exact < f64::from(f32::MAX) {
                worst = worst.max((f64::from(ours) / exact - 1.0).abs());
            } else if x.is_nan() {
                assert!(ours.is_nan(), "{x}");
            } else if exact > 1.0 {
                assert_eq!(ours, f32::INFINITY, "{x}");
            } else {
                assert!((f64::from(ours) - exact).abs() < 3e-45, "{x}: {ours} {exact}");
            }
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn gelu_is_ggmls_table() {
        let gelu = Gelu::new();
        assert_eq!(gelu.of(-10.5), 0.0);
        assert_eq!(gelu.of(12.25), 12.25);
        assert_eq!(gelu.of(1.0), 0.841_308_6); // 0.841192 rounded to F16
        assert!(gelu.of(f32::NAN).is_nan());
    }

    #[test]
    fn a_softmax_sums_to_one_and_ignores_masked_values() {
        let mut row = [1.0, 2.0, f32::NEG_INFINITY, 3.0];
        softmax(&mut row);
        assert_eq!(row[2], 0.0);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn an_rms_norm_has_the_weight_as_its_root_mean_square() {
        let mut out = [0.0; 4];
        rms_norm(&[1.0, -3.0, 3.0, 1.0], &[2.0; 4], 0.0, &mut out);
        let expected = 2.0 / 5.0f32.sqrt();
        assert!((out[0] - expected).abs() < 1e-6 && (out[1] + 3.0 * expected).abs() < 1e-6);
    }
}
