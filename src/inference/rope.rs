//! Rotary position embedding (RoPE): pairs of a head's values are rotated by angles that grow with the position.

/// The values that form a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// `2i` and `2i + 1`: ggml's NORM. The converter has permuted the rows of queries and keys.
    Adjacent,
    /// `i` and `i + n / 2`: ggml's NEOX.
    Halves,
}

/// The angles of one kind of layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Values per head that are rotated, an even number.
    pub dimensions: usize,
    /// The base of the angles.
    pub base: f32,
    /// The factor of linear interpolation, 1 / `rope.scaling.factor`.
    pub scale: f32,
    /// YaRN's mixture of interpolation and extrapolation, if it is used.
    pub yarn: Option<Yarn>,
    /// The factor of sine and cosine.
    pub magnitude: f32,
}

/// The dimensions between which YaRN changes from extrapolation to interpolation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    low: f32,
    high: f32,
}

impl Yarn {
    /// Computes the dimensions from the original context length.
    pub fn new(dimensions: usize, original_context: u64, base: f32) -> Yarn {
        let n = dimensions as f32;
        let dimension = |rotations: f32| {
            n * libm::logf(original_context as f32 / (rotations * 2.0 * std::f32::consts::PI))
                / (2.0 * libm::logf(base))
        };
        Yarn { low: libm::floorf(dimension(32.0)).max(0.0), high: libm::ceilf(dimension(1.0)).min(n - 1.0) }
    }

    fn ramp(&self, index: usize) -> f32 {
        let y = (index as f32 - self.low) / (self.high - self.low).max(0.001);
        1.0 - y.clamp(0.0, 1.0)
    }
}

impl Rope {
    /// Cosine and sine of each pair at a position. `factors` divide the angles, one per pair, if given.
    pub fn angles(&self, position: usize, factors: Option<&[f32]>, out: &mut Vec<(f32, f32)>) {
        // Double precision rounded once is what the C library's powf returns almost always.
        let step = libm::pow(f64::from(self.base), f64::from(-2.0f32 / self.dimensions as f32)) as f32;
        let mut magnitude = self.magnitude;
        if self.yarn.is_some() {
            magnitude *= 1.0 + 0.1 * libm::logf(1.0 / self.scale);
        }
        let mut angle = position as f32;
        out.clear();
        for pair in 0..self.dimensions / 2 {
            let full = angle / factors.and_then(|factors| factors.get(pair)).copied().unwrap_or(1.0);
            let mut theta = self.scale * full;
            if let Some(yarn) = &self.yarn {
                let mix = yarn.ramp(pair);
                theta = theta * (1.0 - mix) + full * mix;
            }
            out.push((libm::cosf(theta) * magnitude, libm::sinf(theta) * magnitude));
            angle *= step;
        }
    }
}

/// Rotates the heads of one row in place.
pub fn rotate(row: &mut [f32], head: usize, pairing: Pairing, angles: &[(f32, f32)]) {
    for head in row.chunks_exact_mut(head) {
        for (pair, (cos, sin)) in angles.iter().enumerate() {
            let (first, second) = match pairing {
                Pairing::Adjacent => (2 * pair, 2 * pair + 1),
                Pairing::Halves => (pair, pair + angles.len()),
            };
            let (x, y) = (head[first], head[second]);
            head[first] = x * cos - y * sin;
            head[second] = x * sin + y * cos;
        }
    }
}
