//! The inner loops: rounding, clamping and detection of non-finite values, without checks so that they vectorise.

use crate::round::MAGIC;

/// A scale and zero point in the form the loops need.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    /// `1 / scale`, rounded once: the references multiply by the reciprocal instead of dividing.
    pub inverse: f32,
    /// The scale.
    pub scale: f32,
    /// The zero point.
    pub zero_point: i32,
    /// `qmin - zero_point` and `qmax - zero_point`.
    pub bounds: (f32, f32),
}

impl Affine {
    /// The parameters must be valid: the scale normal and positive, the zero point in `qmin..=qmax`.
    #[inline(always)]
    pub fn new(scale: f32, zero_point: i32, qmin: i32, qmax: i32) -> Self {
        let bounds = ((qmin - zero_point) as f32, (qmax - zero_point) as f32);
        Affine { inverse: 1.0 / scale, scale, zero_point, bounds }
    }

    /// `clamp(round_half_even(x / s)) + MAGIC`, whose low mantissa bits are the code relative to zero.
    ///
    /// The bounds are integers, so clamping before rounding gives the same result and keeps every value in the range
    /// where [`MAGIC`] rounds exactly. NaN becomes the lower bound, as in PyTorch.
    #[inline(always)]
    fn shifted(self, x: f32) -> f32 {
        let (low, high) = self.bounds;
        let y = x * self.inverse;
        let y = if y > low { y } else { low };
        let y = if y < high { y } else { high };
        y + MAGIC
    }

    /// The code of `x`, as its low byte.
    #[inline(always)]
    pub fn code(self, x: f32) -> u8 {
        (self.shifted(x).to_bits() as u8).wrapping_add(self.zero_point as u8)
    }

    /// The value of `x` after quantization and dequantization: `s (q - z)`.
    #[inline(always)]
    pub fn fake(self, x: f32) -> f32 {
        (self.shifted(x) - MAGIC) * self.scale
    }

    /// Whether the code of `x` is within the bounds before clamping.
    #[inline(always)]
    pub fn passes(self, x: f32) -> bool {
        // MAGIC does not round beyond 2^22, but such a value is far outside the bounds anyway.
        let (low, high) = self.bounds;
        let rounded = (x * self.inverse + MAGIC) - MAGIC;
        rounded >= low && rounded <= high
    }
}

/// 1 for NaN and infinity, otherwise 0. Or-ed over a loop, it tells whether there was any.
#[inline(always)]
pub fn special(x: f32) -> u32 {
    u32::from(x.to_bits() & 0x7f80_0000 == 0x7f80_0000)
}

/// Quantizes values with the same parameters; returns false if any value is NaN or infinite.
pub fn quantize(values: &[f32], affine: Affine, codes: &mut [u8]) -> bool {
    let mut bad = 0;
    for (code, &x) in codes.iter_mut().zip(values) {
        bad |= special(x);
        *code = affine.code(x);
    }
    bad == 0
}

/// Quantizes and dequantizes values with the same parameters; returns false if any value is NaN or infinite.
pub fn fake(values: &[f32], affine: Affine, out: &mut [f32]) -> bool {
    let mut bad = 0;
    for (out, &x) in out.iter_mut().zip(values) {
        bad |= special(x);
        *out = affine.fake(x);
    }
    bad == 0
}

/// Dequantizes signed (`i8`) or unsigned codes with the same parameters.
pub fn dequantize(codes: &[u8], signed: bool, affine: Affine, out: &mut [f32]) {
    let (zero_point, scale) = (affine.zero_point, affine.scale);
    // Two loops, so that each is one widening and one multiplication with the sign known in advance.
    if signed {
        for (out, &code) in out.iter_mut().zip(codes) {
            *out = (i32::from(code as i8) - zero_point) as f32 * scale;
        }
    } else {
        for (out, &code) in out.iter_mut().zip(codes) {
            *out = (i32::from(code) - zero_point) as f32 * scale;
        }
    }
}

/// The minimum and maximum of `values` (infinity and negative infinity if empty), and whether all are finite.
pub fn min_max(values: &[f32]) -> (f32, f32, bool) {
    // Minimum and maximum are independent of the order, so sixteen are computed in parallel.
    const WIDTH: usize = 16;
    let (mut low, mut high) = ([f32::INFINITY; WIDTH], [f32::NEG_INFINITY; WIDTH]);
    // A non-finite value times zero is NaN, which persists in a sum: two operations, compared with four for testing the
    // bits.
    let mut numbers = [0.0f32; WIDTH];
    let mut step = |lane: usize, x: f32| {
        low[lane] = if x < low[lane] { x } else { low[lane] };
        high[lane] = if x > high[lane] { x } else { high[lane] };
        numbers[lane] += x * 0.0;
    };
    let (chunks, tail) = values.as_chunks::<WIDTH>();
    for chunk in chunks {
        for lane in 0..WIDTH {
            step(lane, chunk[lane]);
        }
    }
    for (lane, &x) in tail.iter().enumerate() {
        step(lane, x);
    }
    // Not `f32::min`, which is a function call in wasm; groups are short.
    let low = low.into_iter().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
    let high = high.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    (low, high, numbers.into_iter().sum::<f32>() == 0.0)
}
