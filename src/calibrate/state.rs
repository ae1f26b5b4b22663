//! The observations of a calibrator: one kind of summary per method.

use super::entropy;
use super::histogram::{MagnitudeHistogram, SpanHistogram, SymmetricHistogram};
use super::method::{CalibrationMethod, EntropyVariant, MAX_BINS};
use super::min_max::Extent;
use super::moving_average::Moving;
use super::mse;
use super::percentile::percentile;
use super::reservoir::Sample;
use crate::affine::QuantRange;
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};

/// The summary; its variant follows from the method.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    MinMax,
    Moving { momentum: f32, averages: Option<Moving> },
    Percentile { lower: f64, upper: f64, sample: Sample },
    Symmetric { levels: usize, histogram: SymmetricHistogram },
    Magnitude(MagnitudeHistogram),
    Span(SpanHistogram),
}

impl State {
    /// Creates the empty summary of a method.
    pub fn new(method: CalibrationMethod, max_samples: usize, seed: u64) -> Result<Self> {
        Ok(match method {
            CalibrationMethod::MinMax => State::MinMax,
            // PyTorch multiplies in single precision.
            CalibrationMethod::MovingAverage { momentum } => {
                State::Moving { momentum: momentum as f32, averages: None }
            }
            CalibrationMethod::Percentile { lower, upper } => {
                State::Percentile { lower, upper, sample: Sample::new(max_samples, seed)? }
            }
            CalibrationMethod::Entropy { variant: EntropyVariant::OnnxRuntime, bins, levels } => {
                State::Symmetric { levels, histogram: SymmetricHistogram::new(bins) }
            }
            CalibrationMethod::Entropy { variant: EntropyVariant::TensorRt, bins, .. } => {
                State::Magnitude(MagnitudeHistogram::new(bins))
            }
            CalibrationMethod::Mse { bins } => State::Span(SpanHistogram::new(bins)),
        })
    }

    /// Adds finite values; `extent` is their minimum and maximum.
    pub fn observe(&mut self, values: &[f32], extent: Extent) -> Result<()> {
        match self {
            State::MinMax => {}
            State::Moving { averages: Some(averages), momentum } => averages.observe(extent, *momentum),
            State::Moving { averages, .. } => *averages = Some(Moving::begin(extent)),
            State::Percentile { sample, .. } => sample.extend(values),
            State::Symmetric { histogram, .. } => {
                // Beyond this the reference's single-precision bin edges overflow.
                const MOST: f32 = f32::MAX / 4.0;
                if extent.magnitude() > MOST {
                    let message = format!(
                        "a magnitude of {:e} exceeds {MOST:e}, the maximum of ONNX Runtime's histogram",
                        extent.magnitude()
                    );
                    return Err(Error::new(Code::RANGE, message).with("value", extent.magnitude()).with("max", MOST));
                }
                histogram.observe(values, extent);
            }
            State::Magnitude(histogram) => histogram.observe(values, extent),
            State::Span(histogram) => histogram.observe(values, extent),
        }
        Ok(())
    }

    /// The range determined by the method; `all` is the minimum and maximum of everything observed.
    pub fn range(&self, all: Extent, codes: QuantRange) -> Extent {
        match self {
            State::MinMax => all,
            State::Moving { averages, .. } => averages.as_ref().map_or(all, |averages| averages.now),
            State::Percentile { lower, upper, sample } => {
                let mut values = sample.values();
                let mut at = |percent, end| percentile(&mut values, percent).map_or(end, |x| x as f32);
                Extent { min: at(*lower, all.min), max: at(*upper, all.max) }
            }
            State::Symmetric { levels, histogram } => entropy::onnx_runtime(histogram, *levels).clip(all),
            State::Magnitude(histogram) => {
                // Magnitudes use half of the codes if the codes are signed.
                let levels = if codes.is_signed() { codes.levels().div_ceil(2) } else { codes.levels() };
                let most = entropy::tensorrt(histogram, levels) as f32;
                Extent { min: all.min.clamp(-most, most), max: all.max.clamp(-most, most) }
            }
            State::Span(histogram) => {
                histogram.extent.map_or(all, |extent| mse::search(histogram, extent, codes.levels()))
            }
        }
    }

    /// Appends the observations of `later`.
    pub fn merge(&mut self, later: &State) -> Result<()> {
        match (self, later) {
            (State::Moving { averages: Some(a), momentum }, State::Moving { averages: Some(b), .. }) => {
                a.append(b, *momentum);
            }
            (State::Moving { averages, .. }, State::Moving { averages: b, .. }) => *averages = averages.or(*b),
            (State::Percentile { sample, .. }, State::Percentile { sample: b, .. }) => sample.merge(b)?,
            (State::Symmetric { histogram, .. }, State::Symmetric { histogram: b, .. }) => histogram.merge(b),
            (State::Magnitude(a), State::Magnitude(b)) => a.merge(b),
            (State::Span(a), State::Span(b)) => a.merge(b),
            // The range of everything is kept by the calibrator, which has also checked that the methods are equal.
            _ => {}
        }
        Ok(())
    }

    /// Serializes the summary; the method is written separately.
    pub fn write(&self, out: &mut Writer) {
        match self {
            State::MinMax => {}
            State::Moving { averages, .. } => {
                out.u64(averages.map_or(0, |moving| moving.batches));
                for extent in averages.iter().flat_map(|moving| [moving.now, moving.first]) {
                    write_extent(extent, out);
                }
            }
            State::Percentile { sample, .. } => {
                out.u64(sample.seed()).u64(sample.seen());
                let (keys, values): (Vec<u64>, Vec<f32>) = sample.entries().into_iter().unzip();
                out.u64s(&keys).f32s(&values);
            }
            State::Symmetric { histogram, .. } => {
                out.f32(histogram.threshold).u64s(&histogram.counts);
            }
            State::Magnitude(histogram) => {
                out.f64(histogram.width).u64s(&histogram.counts);
            }
            State::Span(histogram) => {
                // A histogram without values is written with an impossible range.
                write_extent(histogram.extent.unwrap_or(Extent { min: 1.0, max: -1.0 }), out);
                out.u64s(&histogram.counts.iter().map(|n| n.to_bits()).collect::<Vec<_>>());
            }
        }
    }

    /// Reads a summary serialized by [`write`](Self::write) into the empty summary of the method.
    pub fn read(&mut self, input: &mut Reader<'_>) -> Result<()> {
        match self {
            State::MinMax => {}
            State::Moving { averages, .. } => {
                let batches = input.u64()?;
                if batches > 0 {
                    *averages = Some(Moving { now: read_extent(input)?, first: read_extent(input)?, batches });
                }
            }
            State::Percentile { sample, .. } => {
                let (seed, seen, keys, values) = (input.u64()?, input.u64()?, input.u64s()?, input.f32s()?);
                let fits = keys.len() == values.len() && values.iter().all(|x| x.is_finite());
                let kept = keys.into_iter().zip(values).collect();
                *sample = Sample::from_parts(sample.capacity(), seed, seen, kept)
                    .filter(|_| fits)
                    .ok_or_else(|| input.malformed(format!("a sample that cannot be from {seen} values")))?;
            }
            State::Symmetric { histogram, .. } => {
                let threshold = input.f32()?;
                if !(0.0..=f32::MAX / 2.0).contains(&threshold) {
                    return Err(input.malformed(format!("a histogram of magnitudes up to {threshold}")));
                }
                *histogram = histogram.with(threshold, read_counts(input)?);
            }
            State::Magnitude(histogram) => {
                let width = input.f64()?;
                if !(0.0..=f64::from(f32::MAX)).contains(&width) {
                    return Err(input.malformed(format!("a histogram with bins of width {width}")));
                }
                *histogram = histogram.with(width, read_counts(input)?);
            }
            State::Span(histogram) => {
                let (min, max) = (input.f32()?, input.f32()?);
                let extent = (min <= max && min.is_finite() && max.is_finite()).then_some(Extent { min, max });
                let counts: Vec<f64> = input.u64s()?.into_iter().map(f64::from_bits).collect();
                // NaN is not in any range.
                if counts.len() != histogram.counts.len() || !counts.iter().all(|n| (0.0..1e18).contains(n)) {
                    return Err(input.malformed(format!("{} counts that do not match the histogram", counts.len())));
                }
                *histogram = SpanHistogram { counts, extent };
            }
        }
        Ok(())
    }
}

/// Writes an extent for [`read_extent`].
pub fn write_extent(extent: Extent, out: &mut Writer) {
    out.f32(extent.min).f32(extent.max);
}

/// Reads an extent and checks that it is valid.
pub fn read_extent(input: &mut Reader<'_>) -> Result<Extent> {
    let (min, max) = (input.f32()?, input.f32()?);
    if min <= max && min.is_finite() && max.is_finite() {
        return Ok(Extent { min, max });
    }
    Err(input.malformed(format!("a range from {min} to {max}")))
}

fn read_counts(input: &mut Reader<'_>) -> Result<Vec<u64>> {
    let counts = input.u64s()?;
    // The sum must stay exact in f64, and a histogram has at least two bins.
    let total = counts.iter().try_fold(0u64, |sum, &n| sum.checked_add(n));
    if !(2..=MAX_BINS).contains(&counts.len()) || total.is_none_or(|total| total > 1 << 53) {
        return Err(input.malformed(format!("a histogram of {} bins and {total:?} values", counts.len())));
    }
    Ok(counts)
}
