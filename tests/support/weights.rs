//! Test weights: ten distributions and three kinds of importance from one seed.

/// A small generator (splitmix64) with the same numbers on every platform.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// An independent generator for one case, so that a case can be repeated on its own.
    pub fn fork(&self, label: &str) -> Self {
        let mut hash = self.0 ^ 0xcbf2_9ce4_8422_2325;
        for byte in label.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Rng(hash)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64() % n
    }

    /// Uniform in (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    pub fn gauss(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next_u64() as u8).collect()
    }
}

type Generator = fn(&mut Rng, usize) -> Vec<f32>;

fn each(n: usize, mut value: impl FnMut(usize) -> f64) -> Vec<f32> {
    (0..n).map(|i| value(i) as f32).collect()
}

/// A magnitude for every 256 weights, so that super-blocks differ in scale as in real models.
fn scaled(rng: &mut Rng, n: usize, exponents: std::ops::Range<i32>) -> Vec<f32> {
    let span = (exponents.end - exponents.start) as u64;
    let mut scale = 1.0;
    each(n, |i| {
        if i % 256 == 0 {
            scale = 10f64.powi(exponents.start + rng.below(span) as i32);
        }
        rng.gauss() * scale
    })
}

/// The ten distributions of the exactness tests, by name.
pub const DISTRIBUTIONS: [(&str, Generator); 10] = [
    ("gaussian", |rng, n| each(n, |_| rng.gauss() * 0.02)),
    ("heavy-tailed", |rng, n| each(n, |_| rng.gauss() / (rng.gauss().abs() + 1e-3) * 0.01)),
    ("outliers", |rng, n| each(n, |_| rng.gauss() * if rng.below(64) == 0 { 40.0 } else { 0.5 })),
    ("constant", |rng, n| {
        let mut value = 0.0;
        each(n, |i| {
            if i % 64 == 0 {
                value = rng.gauss();
            }
            value
        })
    }),
    ("zero-blocks", |rng, n| {
        let mut zero = false;
        each(n, |i| {
            if i % 16 == 0 {
                zero = rng.below(2) == 0;
            }
            if zero { 0.0 } else { rng.gauss() }
        })
    }),
    ("negative-zero", |rng, n| {
        let mut kind = 0;
        each(n, |i| {
            if i % 32 == 0 {
                kind = rng.below(3);
            }
            match kind {
                0 => -0.0,
                1 if rng.below(2) == 0 => -0.0,
                1 => 0.0,
                _ if rng.below(3) == 0 => -0.0,
                _ => rng.gauss(),
            }
        })
    }),
    // Few distinct values, equal magnitudes with both signs, values halfway between codes.
    ("ties", |rng, n| {
        let mut step = 1.0;
        each(n, |i| {
            if i % 32 == 0 {
                step = [1.0, 0.5, 0.125, 1.0 / 3.0][rng.below(4) as usize];
            }
            (rng.below(17) as f64 - 8.0) * step
        })
    }),
    ("denormals", |rng, n| (0..n).map(|_| f32::from_bits((rng.next_u64() & 0x807f_ffff) as u32)).collect()),
    ("tiny", |rng, n| scaled(rng, n, -37..-3)),
    ("huge", |rng, n| scaled(rng, n, 2..37)),
];

/// The kinds of importance with which a row is encoded.
pub const IMPORTANCE: [(&str, Option<Generator>); 3] = [
    ("none", None),
    ("chi-squared", Some(|rng, n| each(n, |_| rng.gauss().powi(2)))),
    ("sparse", Some(|rng, n| each(n, |_| if rng.below(4) == 0 { rng.gauss().powi(2) } else { 0.0 }))),
];
