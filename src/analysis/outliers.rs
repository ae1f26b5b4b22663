//! Outliers, and the effect of clipping them.

use super::analyze::AffineErrors;
use crate::affine::{QuantMode, QuantParams, QuantScheme, min_max};
use crate::calibrate::percentile;
use crate::error::{Code, Error, Result};
use crate::sort::{keep_smallest, sorted};
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// An outlier.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct Outlier {
    /// The index of the value.
    pub index: usize,
    /// The value.
    pub value: f32,
    /// The distance from the mean in standard deviations ([`find_outliers`]), or the absolute error ([`worst_errors`]).
    pub score: f64,
}

/// Returns up to `limit` values more than `sigmas` standard deviations from the mean, the farthest first.
///
/// # Errors
/// [`Code::RANGE`] for a negative or NaN `sigmas`, [`Code::NON_FINITE`].
pub fn find_outliers(values: &[f32], sigmas: f64, limit: usize) -> Result<Vec<Outlier>> {
    validation::within("sigmas", sigmas, 0.0, f64::INFINITY)?;
    validation::finite(values, "value")?;
    let n = values.len().max(1) as f64;
    let mean = sum(values.iter().map(|&x| f64::from(x))) / n;
    let deviation = (sum(values.iter().map(|&x| (f64::from(x) - mean) * (f64::from(x) - mean))) / n).sqrt();
    let scored = values.iter().enumerate().map(|(index, &value)| {
        let distance = (f64::from(value) - mean).abs();
        Outlier { index, value, score: if distance == 0.0 { 0.0 } else { distance / deviation } }
    });
    Ok(first(&scored.filter(|outlier| outlier.score > sigmas).collect::<Vec<_>>(), limit))
}

/// Returns up to `limit` values with the largest nonzero absolute errors, the largest first.
///
/// # Errors
/// [`Code::LENGTH`], [`Code::NON_FINITE`].
pub fn worst_errors(original: &[f32], decoded: &[f32], limit: usize) -> Result<Vec<Outlier>> {
    validation::length("the decoded tensor", decoded.len(), original.len())?;
    validation::finite(original, "value")?;
    validation::finite(decoded, "decoded value")?;
    let scored = original.iter().zip(decoded).enumerate().map(|(index, (&value, &decoded))| Outlier {
        index,
        value,
        score: (f64::from(value) - f64::from(decoded)).abs(),
    });
    Ok(first(&scored.filter(|outlier| outlier.score > 0.0).collect::<Vec<_>>(), limit))
}

/// Selects the highest scores; ties are in tensor order. Scores are non-negative, so their bits have the same order.
fn first(outliers: &[Outlier], limit: usize) -> Vec<Outlier> {
    let place = |(i, outlier): (usize, &Outlier)| u128::from(!outlier.score.to_bits()) << 64 | i as u128;
    let mut places: Vec<u128> = outliers.iter().enumerate().map(place).collect();
    keep_smallest(&mut places, limit);
    sorted(&places, Ord::cmp).into_iter().map(|place| outliers[place as u64 as usize]).collect()
}

/// Pairwise summation of blocks, so that the error does not grow with the length.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut block) = (0.0, 0.0);
    for (i, x) in values.enumerate() {
        block += x;
        if i % 1024 == 1023 {
            total += block;
            block = 0.0;
        }
    }
    total + block
}

/// The effect on the error of clipping the largest magnitudes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
#[non_exhaustive]
pub struct OutlierImpact {
    /// The percentile above which magnitudes were clipped.
    pub threshold: f64,
    /// The number of clipped values.
    pub num_clipped: u64,
    /// Mean squared error of quantizing the values without clipping.
    pub original_mse: f64,
    /// Mean squared error of clipping and then quantizing, **relative to the original values**.
    pub clipped_mse: f64,
    /// `original_mse / clipped_mse`: clipping helps if this is above 1, and harms if it is below; 1 if both are 0.
    pub improvement: f64,
}

/// Clips magnitudes at a percentile (linear interpolation), quantizes per tensor, and compares the error with that
/// without clipping.
///
/// # Errors
/// [`Code::RANGE`] for `bits` or a percentile that is not above 0 and below 100, [`Code::NO_DATA`],
/// [`Code::NON_FINITE`].
pub fn analyze_outlier_impact(values: &[f32], percent: f64, bits: u8, mode: QuantMode) -> Result<OutlierImpact> {
    if !(percent > 0.0 && percent < 100.0) {
        let message = format!("percentile is {percent}, and must be above 0 and below 100");
        return Err(Error::new(Code::RANGE, message).with("percentile", percent));
    }
    validation::finite(values, "value")?;
    let mut magnitudes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
    let Some(threshold) = percentile(&mut magnitudes, percent) else {
        return Err(Error::new(Code::NO_DATA, "there are no values to compute a percentile of"));
    };
    let most = threshold as f32;
    let scheme = QuantScheme::new(bits, mode)?;
    let shape = [values.len()];
    let (low, high) = min_max(values)?;
    let mse = |most: f32| -> Result<f64> {
        // The range of the clipped values is the clipped range.
        let (low, high) = (low.clamp(-most, most), high.clamp(-most, most));
        let params = QuantParams::per_tensor(&scheme, low, high)?;
        let mut errors = AffineErrors::new(&params, &shape, 0.0)?;
        errors.add_changed(values, |x| x.clamp(-most, most))?;
        Ok(errors.stats()?.mse)
    };
    let (original_mse, clipped_mse) = (mse(f32::INFINITY)?, mse(most)?);
    let improvement = if original_mse == clipped_mse { 1.0 } else { original_mse / clipped_mse };
    let num_clipped = values.iter().filter(|x| x.abs() > most).count() as u64;
    Ok(OutlierImpact { threshold, num_clipped, original_mse, clipped_mse, improvement })
}
