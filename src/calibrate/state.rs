//! The observations of a calibrator: one kind of summary per method.

use super::entropy;
use super::histogram::{MagnitudeHistogram, SpanHistogram, SymmetricHistogram};
use super::method::{CalibrationMethod, EntropyVariant, MAX_BINS};
use super::min_max::MinMax;
use super::moving_average::MovingAverage;
use super::mse;
use super::percentile::percentile;
use super::reservoir::Reservoir;
use crate::affine::QuantRange;
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};

/// The summary; its variant follows from the method.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    MinMax,
    Moving { momentum: f32, averages: Option<MovingAverage> },
    Percentile { lower: f64, upper: f64, sample: Reservoir },
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
                State::Percentile { lower, upper, sample: Reservoir::new(max_samples, seed)? }
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

    /// Adds finite values; `min_max` is their minimum and maximum.
    pub fn observe(&mut self, values: &[f32], min_max: MinMax) -> Result<()> {
        match self {
            State::MinMax => {}
            State::Moving { averages: Some(averages), momentum } => averages.observe(min_max, *momentum),
            State::Moving { averages, .. } => *averages = Some(MovingAverage::begin(min_max)),
            State::Percentile { sample, .. } => sample.extend(values),
            State::Symmetric { histogram, .. } => {
                // Beyond this the reference's single-precision bin edges overflow.
                const MOST: f32 = f32::MAX / 4.0;
                if min_max.magnitude() > MOST {
                    let message = format!(
                        "a magnitude of {:e} exceeds {MOST:e}, the maximum of ONNX Runtime's histogram",
                        min_max.magnitude()
                    );
                    return Err(Error::new(Code::RANGE, message).with("value", min_max.magnitude()).with("max", MOST));
                }
                histogram.observe(values, min_max);
            }
            State::Magnitude(histogram) => histogram.observe(values, min_max),
            State::Span(histogram) => histogram.observe(values, min_max),
        }
        Ok(())
    }

    /// The range determined by the method; `all` is the minimum and maximum of everything observed.
    pub fn range(&self, all: MinMax, codes: QuantRange) -> MinMax {
        match self {
            State::MinMax => all,
            State::Moving { averages, .. } => averages.as_ref().map_or(all, |averages| averages.now),
            State::Percentile { lower, upper, sample } => {
                let mut values = sample.values();
                let mut at = |percent, end| percentile(&mut values, percent).map_or(end, |x| x as f32);
                MinMax { min: at(*lower, all.min), max: at(*upper, all.max) }
            }
            State::Symmetric { levels, histogram } => entropy::onnx_runtime(histogram, *levels).clip(all),
            State::Magnitude(histogram) => {
                // Magnitudes use half of the codes if the codes are signed.
                let levels = if codes.is_signed() { codes.levels().div_ceil(2) } else { codes.levels() };
                let most = entropy::tensorrt(histogram, levels) as f32;
                MinMax { min: all.min.clamp(-most, most), max: all.max.clamp(-most, most) }
            }
            State::Span(histogram) => {
                histogram.min_max.map_or(all, |min_max| mse::search(histogram, min_max, codes.levels()))
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
                for min_max in averages.iter().flat_map(|moving| [moving.now, moving.first]) {
                    write_min_max(min_max, out);
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
                write_min_max(histogram.min_max.unwrap_or(MinMax { min: 1.0, max: -1.0 }), out);
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
                    *averages = Some(MovingAverage { now: read_min_max(input)?, first: read_min_max(input)?, batches });
                }
            }
            State::Percentile { sample, .. } => {
                let (seed, seen, keys, values) = (input.u64()?, input.u64()?, input.u64s()?, input.f32s()?);
                let fits = keys.len() == values.len() && values.iter().all(|x| x.is_finite());
                let kept = keys.into_iter().zip(values).collect();
                *sample = Reservoir::from_parts(sample.capacity(), seed, seen, kept)
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
                let min_max = (min <= max && min.is_finite() && max.is_finite()).then_some(MinMax { min, max });
                let counts: Vec<f64> = input.u64s()?.into_iter().map(f64::from_bits).collect();
                // NaN is not in any range.
                if counts.len() != histogram.counts.len() || !counts.iter().all(|n| (0.0..1e18).contains(n)) {
                    return Err(input.malformed(format!("{} counts that do not match the histogram", counts.len())));
                }
                *histogram = SpanHistogram { counts, min_max };
            }
        }
        Ok(())
    }
}

/// Writes a minimum and a maximum for [`read_min_max`].
pub fn write_min_max(min_max: MinMax, out: &mut Writer) {
    out.f32(min_max.min).f32(min_max.max);
}

/// Reads a minimum and a maximum and checks that they are valid.
pub fn read_min_max(input: &mut Reader<'_>) -> Result<MinMax> {
    let (min, max) = (input.f32()?, input.f32()?);
    if min <= max && min.is_finite() && max.is_finite() {
        return Ok(MinMax { min, max });
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
