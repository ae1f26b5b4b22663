//! The inner loops, free of checks so that they vectorise: rounding, clamping, and finding what is no number on the way.

use crate::round::MAGIC;

/// One scale and zero point, ready for a loop.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    /// `1 / scale`, rounded once: the references multiply by it and do not divide.
    pub inverse: f32,
    /// The scale.
    pub scale: f32,
    /// The zero point.
    pub zero_point: i32,
    /// `qmin - zero_point` and `qmax - zero_point`.
    pub bounds: (f32, f32),
}

impl Affine {
    /// From parameters that were checked: the scale is normal and positive, the zero point one of the codes.
    #[inline(always)]
    pub fn new(scale: f32, zero_point: i32, qmin: i32, qmax: i32) -> Self {
        let bounds = ((qmin - zero_point) as f32, (qmax - zero_point) as f32);
        Affine { inverse: 1.0 / scale, scale, zero_point, bounds }
    }

    /// `clamp(round_half_even(x / s)) + MAGIC`, the steps from zero in the low bits of the mantissa.
    ///
    /// The bounds are integers, so clamping first changes nothing and keeps every value where [`MAGIC`] rounds exactly.
    /// A NaN becomes the lower bound, as in PyTorch.
    #[inline(always)]
    fn shifted(self, x: f32) -> f32 {
        let (low, high) = self.bounds;
        let y = x * self.inverse;
        let y = if y > low { y } else { low };
        let y = if y < high { y } else { high };
        y + MAGIC
    }

    /// The code of `x` as its low byte.
    #[inline(always)]
    pub fn code(self, x: f32) -> u8 {
        (self.shifted(x).to_bits() as u8).wrapping_add(self.zero_point as u8)
    }

    /// The value of `x` after it was quantized: `s (q - z)`.
    #[inline(always)]
    pub fn fake(self, x: f32) -> f32 {
        (self.shifted(x) - MAGIC) * self.scale
    }

    /// Whether the code of `x` lies within its bounds before it is clamped.
    #[inline(always)]
    pub fn passes(self, x: f32) -> bool {
        // Beyond 2^22 MAGIC does not round, and need not: such a value is far outside.
        let (low, high) = self.bounds;
        let rounded = (x * self.inverse + MAGIC) - MAGIC;
        rounded >= low && rounded <= high
    }
}

/// 1 for a NaN or an infinity: or-ed over a loop, it says whether there was one.
#[inline(always)]
pub fn special(x: f32) -> u32 {
    u32::from(x.to_bits() & 0x7f80_0000 == 0x7f80_0000)
}

/// Codes of values that share parameters; false if one of the values is no number.
pub fn quantize(values: &[f32], affine: Affine, codes: &mut [u8]) -> bool {
    let mut bad = 0;
    for (code, &x) in codes.iter_mut().zip(values) {
        bad |= special(x);
        *code = affine.code(x);
    }
    bad == 0
}

/// Values that share parameters, quantized and back; false if one of them is no number.
pub fn fake(values: &[f32], affine: Affine, out: &mut [f32]) -> bool {
    let mut bad = 0;
    for (out, &x) in out.iter_mut().zip(values) {
        bad |= special(x);
        *out = affine.fake(x);
    }
    bad == 0
}

/// Values of signed (`i8`) or unsigned codes that share parameters.
pub fn dequantize(codes: &[u8], signed: bool, affine: Affine, out: &mut [f32]) {
    let (zero_point, scale) = (affine.zero_point, affine.scale);
    // Two loops: with the sign decided outside, each is one widening and one multiplication.
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

/// Smallest and largest of `values` (infinity and its negative if there are none); false if one is no number.
pub fn min_max(values: &[f32]) -> (f32, f32, bool) {
    // Minimum and maximum do not depend on the order, so sixteen run side by side.
    const WIDTH: usize = 16;
    let (mut low, mut high) = ([f32::INFINITY; WIDTH], [f32::NEG_INFINITY; WIDTH]);
    // What is no number times zero is NaN, and stays in a sum: two operations, where looking at the bits takes four.
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
    // Not `f32::min`: that is a call in wasm, and groups are short.
    let low = low.into_iter().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
    let high = high.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    (low, high, numbers.into_iter().sum::<f32>() == 0.0)
}
