//! Generators of weights with known distributions.
//!
//! Equal seeds give equal weights on every machine: xoshiro256++ (Blackman and Vigna, arXiv 1805.01407) generates the
//! bits, the ziggurat of `rand_distr` the normal distribution, and `libm` its tails. Without a seed, one is drawn from
//! the system's entropy. The generator is not cryptographic, which would take as long as everything else together.

use crate::allocation;
use crate::error::{Code, Error, Result};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// A seeded random number generator.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Creates a generator from a seed, or from the system's entropy (`crypto.getRandomValues` in a browser).
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] if there is neither a seed nor system entropy.
    pub fn new(seed: Option<u64>) -> Result<Self> {
        if let Some(seed) = seed {
            return Ok(Random(Xoshiro256PlusPlus::seed_from_u64(seed)));
        }
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|error| {
            Error::new(Code::UNSUPPORTED, format!("the system provides no entropy ({error}); pass a seed"))
        })?;
        Ok(Random(Xoshiro256PlusPlus::from_seed(entropy)))
    }

    /// A sample of the standard normal distribution.
    pub fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// A uniform sample of `0..1`.
    pub fn uniform(&mut self) -> f32 {
        StandardUniform.sample(&mut self.0)
    }

    /// A uniform integer below `n`, which must be positive.
    pub fn below(&mut self, n: usize) -> usize {
        let bits: u64 = StandardUniform.sample(&mut self.0);
        // The high half of the product; its bias is below n / 2^64.
        ((u128::from(bits) * n as u128) >> 64) as usize
    }

    /// Shuffles the items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Generates `n` normally distributed values.
///
/// # Errors
/// [`Code::RANGE`] for a NaN or infinite mean or standard deviation, or a negative one.
pub fn generate_gaussian_weights(n: usize, mean: f32, std_dev: f32, seed: Option<u64>) -> Result<Vec<f32>> {
    let mut out = allocation::zeros(n)?;
    generate_gaussian_weights_into(&mut out, mean, std_dev, seed)?;
    Ok(out)
}

/// [`generate_gaussian_weights`] into a caller's buffer.
///
/// # Errors
/// As for [`generate_gaussian_weights`].
pub fn generate_gaussian_weights_into(out: &mut [f32], mean: f32, std_dev: f32, seed: Option<u64>) -> Result<()> {
    finite("mean", mean)?;
    not_negative("stdDev", std_dev)?;
    let mut random = Random::new(seed)?;
    out.fill_with(|| mean + std_dev * random.normal());
    Ok(())
}

/// Generates `n` values uniform in `min..max`.
///
/// # Errors
/// [`Code::RANGE`] unless `min <= max` are finite.
pub fn generate_uniform_weights(n: usize, min: f32, max: f32, seed: Option<u64>) -> Result<Vec<f32>> {
    let mut out = allocation::zeros(n)?;
    generate_uniform_weights_into(&mut out, min, max, seed)?;
    Ok(out)
}

/// [`generate_uniform_weights`] into a caller's buffer.
///
/// # Errors
/// As for [`generate_uniform_weights`].
pub fn generate_uniform_weights_into(out: &mut [f32], min: f32, max: f32, seed: Option<u64>) -> Result<()> {
    finite("min", min)?;
    finite("max", max)?;
    if min > max {
        let message = format!("the range {min} to {max} is empty");
        return Err(Error::new(Code::RANGE, message).with("min", min).with("max", max));
    }
    let mut random = Random::new(seed)?;
    // Two products, because the difference of the bounds may overflow.
    out.fill_with(|| {
        let t = random.uniform();
        (min * (1.0 - t) + max * t).clamp(min, max)
    });
    Ok(())
}

/// Generates `n` standard normal values, and replaces the fraction `outlier_ratio` of them, at random positions, by
/// `outlier_magnitude` with a random sign.
///
/// # Errors
/// [`Code::RANGE`] for a ratio outside 0 to 1, or a negative, NaN or infinite magnitude.
pub fn generate_weights_with_outliers(
    n: usize,
    outlier_ratio: f64,
    outlier_magnitude: f32,
    seed: Option<u64>,
) -> Result<Vec<f32>> {
    let mut out = allocation::zeros(n)?;
    generate_weights_with_outliers_into(&mut out, outlier_ratio, outlier_magnitude, seed)?;
    Ok(out)
}

/// [`generate_weights_with_outliers`] into a caller's buffer.
///
/// # Errors
/// As for [`generate_weights_with_outliers`].
pub fn generate_weights_with_outliers_into(
    out: &mut [f32],
    outlier_ratio: f64,
    outlier_magnitude: f32,
    seed: Option<u64>,
) -> Result<()> {
    crate::validation::within("outlierRatio", outlier_ratio, 0.0, 1.0)?;
    not_negative("outlierMagnitude", outlier_magnitude)?;
    let mut random = Random::new(seed)?;
    let n = out.len();
    let mut wanted = (n as f64 * outlier_ratio).round() as usize;
    for (i, weight) in out.iter_mut().enumerate() {
        // Selection sampling (Knuth, Algorithm S): exactly the requested number, with every choice of positions equally
        // likely.
        *weight = random.normal();
        if random.below(n - i) < wanted {
            wanted -= 1;
            *weight = if random.below(2) == 0 { outlier_magnitude } else { -outlier_magnitude };
        }
    }
    Ok(())
}

/// Generates `num_channels` rows of `features_per_channel` normal values, where row `c` has standard deviation `1 +
/// scale_variance * c / num_channels`. The shape is `[num_channels, features_per_channel]`.
///
/// # Errors
/// [`Code::RANGE`] for a negative, NaN or infinite variance, [`Code::TOO_LARGE`] if the size overflows.
pub fn generate_multi_channel_weights(
    num_channels: usize,
    features_per_channel: usize,
    scale_variance: f32,
    seed: Option<u64>,
) -> Result<Vec<f32>> {
    let mut out = allocation::zeros(crate::validation::elements(&[num_channels, features_per_channel])?)?;
    generate_multi_channel_weights_into(&mut out, num_channels, scale_variance, seed)?;
    Ok(out)
}

/// [`generate_multi_channel_weights`] into a caller's buffer of `num_channels` rows.
///
/// # Errors
/// As for [`generate_multi_channel_weights`], and [`Code::LENGTH`] if the buffer is not a whole number of such rows.
pub fn generate_multi_channel_weights_into(
    out: &mut [f32],
    num_channels: usize,
    scale_variance: f32,
    seed: Option<u64>,
) -> Result<()> {
    not_negative("scaleVariance", scale_variance)?;
    if num_channels == 0 || !out.len().is_multiple_of(num_channels) {
        if out.is_empty() {
            return Ok(());
        }
        let message = format!("{} weights cannot be divided into {num_channels} channels of equal length", out.len());
        return Err(Error::new(Code::LENGTH, message).with("actual", out.len()).with("channels", num_channels));
    }
    let mut random = Random::new(seed)?;
    let features = out.len() / num_channels;
    for (channel, row) in out.chunks_mut(features.max(1)).enumerate() {
        let deviation = 1.0 + scale_variance * (channel as f32 / num_channels as f32);
        row.fill_with(|| deviation * random.normal());
    }
    Ok(())
}

fn finite(name: &'static str, value: f32) -> Result<()> {
    crate::validation::within(name, value, f32::MIN, f32::MAX)
}

fn not_negative(name: &'static str, value: f32) -> Result<()> {
    crate::validation::within(name, value, 0.0, f32::MAX)
}
