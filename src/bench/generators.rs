//! Weights of known distributions.
//!
//! Equal seeds give equal weights on every machine: xoshiro256++ (Blackman and Vigna, arXiv 1805.01407) for the bits, the
//! ziggurat of `rand_distr` for the normal distribution, `libm` for its tails. Without a seed the system's entropy chooses
//! one. Nothing here is secret, so the bits need not be: a cipher's would take as long as all the rest.

use crate::check;
use crate::error::{Code, Error, Result};
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

/// A generator of reproducible numbers.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// From a seed, or from the system's entropy (in a browser `crypto.getRandomValues`).
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] if there is no seed and the system gives no entropy.
    pub fn new(seed: Option<u64>) -> Result<Self> {
        if let Some(seed) = seed {
            return Ok(Random(Xoshiro256PlusPlus::seed_from_u64(seed)));
        }
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|error| {
            Error::new(Code::UNSUPPORTED, format!("the system gives no entropy ({error}); pass a seed"))
        })?;
        Ok(Random(Xoshiro256PlusPlus::from_seed(entropy)))
    }

    /// From the standard normal distribution.
    pub fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// Uniform in `0..1`.
    pub fn uniform(&mut self) -> f32 {
        StandardUniform.sample(&mut self.0)
    }

    /// Uniform among the numbers below `n`, which is positive.
    pub fn below(&mut self, n: usize) -> usize {
        let bits: u64 = StandardUniform.sample(&mut self.0);
        // The high half of a product: biased by less than n / 2^64.
        ((u128::from(bits) * n as u128) >> 64) as usize
    }

    /// Puts items in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// `n` values from the normal distribution of this mean and standard deviation.
///
/// # Errors
/// [`Code::RANGE`] for a mean that is no number, or a deviation that is negative or no number.
pub fn generate_gaussian_weights(n: usize, mean: f32, std_dev: f32, seed: Option<u64>) -> Result<Vec<f32>> {
    let mut out = check::zeros(n)?;
    generate_gaussian_weights_into(&mut out, mean, std_dev, seed)?;
    Ok(out)
}

/// [`generate_gaussian_weights`] into a buffer.
///
/// # Errors
/// As [`generate_gaussian_weights`].
pub fn generate_gaussian_weights_into(out: &mut [f32], mean: f32, std_dev: f32, seed: Option<u64>) -> Result<()> {
    finite("mean", mean)?;
    not_negative("stdDev", std_dev)?;
    let mut random = Random::new(seed)?;
    out.fill_with(|| mean + std_dev * random.normal());
    Ok(())
}

/// `n` values uniform in `min..max`.
///
/// # Errors
/// [`Code::RANGE`] unless `min <= max` are finite.
pub fn generate_uniform_weights(n: usize, min: f32, max: f32, seed: Option<u64>) -> Result<Vec<f32>> {
    let mut out = check::zeros(n)?;
    generate_uniform_weights_into(&mut out, min, max, seed)?;
    Ok(out)
}

/// [`generate_uniform_weights`] into a buffer.
///
/// # Errors
/// As [`generate_uniform_weights`].
pub fn generate_uniform_weights_into(out: &mut [f32], min: f32, max: f32, seed: Option<u64>) -> Result<()> {
    finite("min", min)?;
    finite("max", max)?;
    if min > max {
        let message = format!("there are no values from {min} to {max}");
        return Err(Error::new(Code::RANGE, message).with("min", min).with("max", max));
    }
    let mut random = Random::new(seed)?;
    // Two products: the difference of the bounds may not be a number.
    out.fill_with(|| {
        let t = random.uniform();
        (min * (1.0 - t) + max * t).clamp(min, max)
    });
    Ok(())
}

/// `n` standard normal values, of which the share `outlier_ratio`, at random places, is replaced by plus or minus
/// `outlier_magnitude`, either sign equally likely.
///
/// # Errors
/// [`Code::RANGE`] for a ratio outside 0 to 1 or a magnitude that is negative or no number.
pub fn generate_weights_with_outliers(
    n: usize,
    outlier_ratio: f64,
    outlier_magnitude: f32,
    seed: Option<u64>,
) -> Result<Vec<f32>> {
    let mut out = check::zeros(n)?;
    generate_weights_with_outliers_into(&mut out, outlier_ratio, outlier_magnitude, seed)?;
    Ok(out)
}

/// [`generate_weights_with_outliers`] into a buffer.
///
/// # Errors
/// As [`generate_weights_with_outliers`].
pub fn generate_weights_with_outliers_into(
    out: &mut [f32],
    outlier_ratio: f64,
    outlier_magnitude: f32,
    seed: Option<u64>,
) -> Result<()> {
    crate::check::within("outlierRatio", outlier_ratio, 0.0, 1.0)?;
    not_negative("outlierMagnitude", outlier_magnitude)?;
    let mut random = Random::new(seed)?;
    let n = out.len();
    let mut wanted = (n as f64 * outlier_ratio).round() as usize;
    for (i, weight) in out.iter_mut().enumerate() {
        // Selection sampling (Knuth, Algorithm S): exactly as many as wanted, every choice of places equally likely.
        *weight = random.normal();
        if random.below(n - i) < wanted {
            wanted -= 1;
            *weight = if random.below(2) == 0 { outlier_magnitude } else { -outlier_magnitude };
        }
    }
    Ok(())
}

/// `num_channels` rows of `features_per_channel` normal values, row `c` of standard deviation
/// `1 + scale_variance * c / num_channels`: the shape `[num_channels, features_per_channel]`.
///
/// # Errors
/// [`Code::RANGE`] for a variance that is negative or no number, [`Code::TOO_LARGE`] for more values than memory.
pub fn generate_multi_channel_weights(
    num_channels: usize,
    features_per_channel: usize,
    scale_variance: f32,
    seed: Option<u64>,
) -> Result<Vec<f32>> {
    let mut out = check::zeros(crate::check::elements(&[num_channels, features_per_channel])?)?;
    generate_multi_channel_weights_into(&mut out, num_channels, scale_variance, seed)?;
    Ok(out)
}

/// [`generate_multi_channel_weights`] into a buffer of `num_channels` rows.
///
/// # Errors
/// As [`generate_multi_channel_weights`], and [`Code::LENGTH`] for a buffer that is not so many rows.
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
        let message = format!("{} weights are not {num_channels} channels of equal length", out.len());
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
    crate::check::within(name, value, f32::MIN, f32::MAX)
}

fn not_negative(name: &'static str, value: f32) -> Result<()> {
    crate::check::within(name, value, 0.0, f32::MAX)
}
