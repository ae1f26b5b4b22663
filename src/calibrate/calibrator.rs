//! The calibrator: observes batches and computes a scale and zero point.

use super::method::{CalibrationMethod, EntropyVariant};
use super::min_max::{MinMax, NonFinite, finite};
use super::result::CalibrationResult;
use super::state::{State, read_min_max, write_min_max};
use crate::affine::{QuantGranularity, QuantMode, QuantRange, QuantScheme, SymmetricRule, ranges_of};
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
use crate::setters::setter;
use crate::tiling::Input;

/// The options of a calibrator other than its method.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CalibratorOptions {
    /// Bits, mode and range of codes of the result.
    pub scheme: QuantScheme,
    /// How to handle NaN and infinity.
    pub non_finite: NonFinite,
    /// The maximum number of values that a percentile calibrator keeps, 1 to 1,048,576. Percentiles are exact up to
    /// that many values.
    pub max_samples: usize,
    /// The seed for choosing the sample if there are more values.
    pub seed: u64,
}

/// The default of [`CalibratorOptions::max_samples`]. The sample's percentile `p` is then within `sqrt(p (100 - p) /
/// 65536)` points of the data's: 0.004 at 99.99.
pub const DEFAULT_SAMPLES: usize = 65_536;

impl CalibratorOptions {
    /// The default options for a scheme: NaN and infinity are errors, 65,536 samples, seed 0.
    pub fn new(scheme: QuantScheme) -> Self {
        CalibratorOptions { scheme, non_finite: NonFinite::Error, max_samples: DEFAULT_SAMPLES, seed: 0 }
    }

    setter!(with_scheme, scheme: QuantScheme);
    setter!(with_non_finite, non_finite: NonFinite);
    setter!(with_max_samples, max_samples: usize);
    setter!(with_seed, seed: u64);

    fn of_bits(bits: u8, mode: QuantMode) -> Result<Self> {
        Ok(Self::new(QuantScheme::new(bits, mode)?))
    }
}

/// A streaming observer of one tensor. It keeps a summary of bounded size of the observed batches.
///
/// ```
/// use quantpress::affine::QuantMode;
/// use quantpress::calibrate::Calibrator;
/// let mut calibrator = Calibrator::percentile(8, QuantMode::Asymmetric, 0.1, 99.9, 10_000)?;
/// for batch in [[-1.0, 0.5, 2.0], [-0.5, 0.1, 3.0]] {
///     calibrator.observe(&batch)?;
/// }
/// let result = calibrator.compute()?;
/// assert!(result.scale > 0.0 && result.observed_max < 3.0);
/// # Ok::<(), quantpress::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrator {
    method: CalibrationMethod,
    options: CalibratorOptions,
    min_max: Option<MinMax>,
    batches: u64,
    skipped: u64,
    state: State,
}

const TAG: [u8; 4] = *b"QPca";
const VERSION: u8 = 1;
const MODES: [QuantMode; 2] = [QuantMode::Symmetric, QuantMode::Asymmetric];
const RULES: [SymmetricRule; 3] = [SymmetricRule::Span, SymmetricRule::Positive, SymmetricRule::NoClipping];
const POLICIES: [NonFinite; 2] = [NonFinite::Error, NonFinite::Skip];

impl Calibrator {
    /// Creates a calibrator with any method and options.
    ///
    /// # Errors
    /// [`Code::RANGE`] for parameters outside their allowed range.
    pub fn new(method: CalibrationMethod, options: CalibratorOptions) -> Result<Self> {
        method.check()?;
        let state = State::new(method, options.max_samples, options.seed)?;
        Ok(Calibrator { method, options, min_max: None, batches: 0, skipped: 0, state })
    }

    /// Creates a min-max calibrator: the range is from the minimum to the maximum. `bits` is 2 to 8.
    ///
    /// # Errors
    /// [`Code::RANGE`] for `bits`.
    pub fn min_max(bits: u8, mode: QuantMode) -> Result<Self> {
        Self::of(CalibrationMethod::MinMax, bits, mode)
    }

    /// Creates a percentile calibrator: the range is between two percentiles (0 to 100) of a uniform sample of at most
    /// `max_samples` values.
    ///
    /// # Errors
    /// [`Code::RANGE`] for `bits`, the percentiles or `max_samples`.
    pub fn percentile(bits: u8, mode: QuantMode, lower: f64, upper: f64, max_samples: usize) -> Result<Self> {
        let options = CalibratorOptions { max_samples, ..CalibratorOptions::of_bits(bits, mode)? };
        Self::new(CalibrationMethod::Percentile { lower, upper }, options)
    }

    /// Creates a moving-average calibrator: exponential averages of the batches' minima and maxima. `momentum` is the
    /// weight of a new batch.
    ///
    /// # Errors
    /// [`Code::RANGE`] for `bits` or `momentum`.
    pub fn moving_average(bits: u8, mode: QuantMode, momentum: f64) -> Result<Self> {
        Self::of(CalibrationMethod::MovingAverage { momentum }, bits, mode)
    }

    /// Creates an entropy calibrator: minimises the Kullback-Leibler divergence over 2048 bins with either reference's
    /// algorithm.
    ///
    /// # Errors
    /// [`Code::RANGE`] for `bits`.
    pub fn entropy(bits: u8, mode: QuantMode, variant: EntropyVariant) -> Result<Self> {
        Self::of(CalibrationMethod::Entropy { variant, bins: 2048, levels: 128 }, bits, mode)
    }

    /// Creates an MSE calibrator: minimises the squared error over a histogram with 2048 bins.
    ///
    /// # Errors
    /// [`Code::RANGE`] for `bits`.
    pub fn mse(bits: u8, mode: QuantMode) -> Result<Self> {
        Self::of(CalibrationMethod::MSE, bits, mode)
    }

    fn of(method: CalibrationMethod, bits: u8, mode: QuantMode) -> Result<Self> {
        Self::new(method, CalibratorOptions::of_bits(bits, mode)?)
    }

    /// Observes a batch. A batch without values, or without finite values under [`NonFinite::Skip`], is not counted.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the index of the first NaN or infinite value, unless they are skipped; [`Code::RANGE`]
    /// if the method cannot represent the magnitude. After an error the state is unchanged.
    pub fn observe(&mut self, batch: &[f32]) -> Result<()> {
        let values = finite(batch, self.options.non_finite)?;
        if let Some(min_max) = MinMax::of(&values) {
            self.observe_values(&values, min_max)?;
        }
        self.skipped += (batch.len() - values.len()) as u64;
        Ok(())
    }

    /// [`observe`](Self::observe) for a batch of which only the minimum and maximum are known, which is enough for some
    /// methods.
    fn observe_min_max(&mut self, min_max: MinMax) -> Result<()> {
        self.observe_values(&[], min_max)
    }

    fn observe_values(&mut self, values: &[f32], min_max: MinMax) -> Result<()> {
        self.state.observe(values, min_max)?;
        self.min_max = Some(self.min_max.map_or(min_max, |all| all.union(min_max)));
        self.batches += 1;
        Ok(())
    }

    /// Computes the range by the method, and its scale and zero point.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if nothing was observed.
    pub fn compute(&self) -> Result<CalibrationResult> {
        let Some(all) = self.min_max else {
            return Err(Error::new(Code::NO_DATA, "the calibrator has not observed any batches"));
        };
        let scheme = &self.options.scheme;
        CalibrationResult::new(self.state.range(all, scheme.range()), self.method, scheme)
    }

    /// The number of batches observed.
    pub fn num_batches(&self) -> u64 {
        self.batches
    }

    /// The number of NaN and infinite values skipped.
    pub fn num_skipped(&self) -> u64 {
        self.skipped
    }

    /// The method.
    pub fn method(&self) -> &CalibrationMethod {
        &self.method
    }

    /// The options.
    pub fn options(&self) -> &CalibratorOptions {
        &self.options
    }

    /// The minimum and maximum of all finite values observed, regardless of the method.
    pub fn observed(&self) -> Option<MinMax> {
        self.min_max
    }

    /// Whether any batch was observed.
    pub fn has_data(&self) -> bool {
        self.batches > 0
    }

    /// Discards all observations.
    pub fn reset(&mut self) {
        // Cannot fail, because the same method and options were accepted before.
        if let Ok(fresh) = Self::new(self.method, self.options) {
            *self = fresh;
        }
    }

    /// Merges a calibrator that observed later batches, as if they had been observed here.
    ///
    /// | method | guarantee |
    /// |---|---|
    /// | min-max | equal to observing all batches here |
    /// | moving average | equal except for rounding |
    /// | percentile | equal while all values fit the sample; otherwise a uniform sample of all values |
    /// | entropy | all values are counted; a value of the histogram with narrower bins moves by at most half of *its* bin width |
    /// | MSE | PyTorch's rule: both histograms are distributed over the joint range, in 16 parts per bin |
    ///
    /// The same holds for consecutive batches with a growing range; see [`CalibrationMethod::Entropy`].
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if the methods or the codes differ.
    pub fn merge(&mut self, later: &Calibrator) -> Result<()> {
        if self.method != later.method || self.options.scheme != later.options.scheme {
            let (a, b) = (self.method.name(), later.method.name());
            let message = format!(
                "a {a} calibrator cannot be merged with a {b} calibrator, or one with other parameters or codes"
            );
            return Err(Error::new(Code::ARGUMENT, message).with("method", a).with("other", b));
        }
        self.state.merge(&later.state)?;
        self.min_max = match (self.min_max, later.min_max) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (a, b) => a.or(b),
        };
        self.batches = self.batches.saturating_add(later.batches);
        self.skipped = self.skipped.saturating_add(later.skipped);
        Ok(())
    }

    /// Serializes the calibrator with everything observed; [`from_bytes`](Self::from_bytes) reads it and can continue.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(TAG, VERSION);
        write_method(self.method, &mut out);
        let CalibratorOptions { scheme, non_finite, max_samples, seed } = self.options;
        out.u8(scheme.bits()).u8(scheme.mode() as u8).i32(scheme.range().qmin).i32(scheme.range().qmax);
        out.u8(scheme.rule() as u8).u8(non_finite as u8).count(max_samples).u64(seed);
        out.u64(self.batches).u64(self.skipped);
        if let Some(min_max) = self.min_max {
            write_min_max(min_max, &mut out);
            self.state.write(&mut out);
        }
        out.finish()
    }

    /// Reads a calibrator serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::MAGIC`], [`Code::UNSUPPORTED`], [`Code::MALFORMED`] or [`Code::TRUNCATED`] for other bytes,
    /// [`Code::RANGE`] for values that no calibrator has. Never panics, and never allocates more than the length of the
    /// bytes justifies.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes, TAG, VERSION, "a calibrator")?;
        let method = read_method(&mut input)?;
        let (bits, mode) = (input.u8()?, input.choice(&MODES, "mode")?);
        let range = QuantRange { qmin: input.i32()?, qmax: input.i32()? };
        let rule = input.choice(&RULES, "rule")?;
        let options = CalibratorOptions {
            scheme: QuantScheme::new(bits, mode)?.with_range(range)?.with_rule(rule),
            non_finite: input.choice(&POLICIES, "policy")?,
            max_samples: input.count()?,
            seed: input.u64()?,
        };
        let mut calibrator = Self::new(method, options)?;
        calibrator.batches = input.u64()?;
        calibrator.skipped = input.u64()?;
        if calibrator.batches > 0 {
            calibrator.min_max = Some(read_min_max(&mut input)?);
            calibrator.state.read(&mut input)?;
        }
        input.finish()?;
        Ok(calibrator)
    }
}

fn write_method(method: CalibrationMethod, out: &mut Writer) {
    let (tag, a, b) = match method {
        CalibrationMethod::MinMax => (0, 0, 0),
        CalibrationMethod::Percentile { lower, upper } => (1, lower.to_bits(), upper.to_bits()),
        CalibrationMethod::MovingAverage { momentum } => (2, momentum.to_bits(), 0),
        CalibrationMethod::Entropy { variant: EntropyVariant::TensorRt, bins, levels } => {
            (3, bins as u64, levels as u64)
        }
        CalibrationMethod::Entropy { variant: EntropyVariant::OnnxRuntime, bins, levels } => {
            (4, bins as u64, levels as u64)
        }
        CalibrationMethod::Mse { bins } => (5, bins as u64, 0),
    };
    out.u8(tag).u64(a).u64(b);
}

fn read_method(input: &mut Reader<'_>) -> Result<CalibrationMethod> {
    let (tag, a, b) = (input.u8()?, input.u64()?, input.u64()?);
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(match tag {
        0 => CalibrationMethod::MinMax,
        1 => CalibrationMethod::Percentile { lower: f64::from_bits(a), upper: f64::from_bits(b) },
        2 => CalibrationMethod::MovingAverage { momentum: f64::from_bits(a) },
        3 => CalibrationMethod::Entropy { variant: EntropyVariant::TensorRt, bins: size(a), levels: size(b) },
        4 => CalibrationMethod::Entropy { variant: EntropyVariant::OnnxRuntime, bins: size(a), levels: size(b) },
        5 => CalibrationMethod::Mse { bins: size(a) },
        _ => return Err(input.malformed(format!("calibration method {tag}"))),
    })
}

/// Min-max calibration in one call.
///
/// # Errors
/// [`Code::RANGE`] for `bits`, [`Code::NON_FINITE`], [`Code::NO_DATA`] if there are no values.
pub fn calibrate_min_max(values: &[f32], bits: u8, mode: QuantMode) -> Result<CalibrationResult> {
    min_max_tiles(values, bits, mode)
}

/// [`calibrate_min_max`] for any array.
pub(crate) fn min_max_tiles(values: impl Input<Item = f32>, bits: u8, mode: QuantMode) -> Result<CalibrationResult> {
    let mut calibrator = Calibrator::min_max(bits, mode)?;
    if values.len() > 0 {
        let shape = [values.len()];
        let ranges = ranges_of(values, &shape, QuantGranularity::PerTensor)?;
        ranges.for_each(|_, min, max| calibrator.observe_min_max(MinMax { min, max }))?;
    }
    calibrator.compute()
}

/// Percentile calibration in one call; exact up to 1,048,576 values, from a uniform sample of that size for more.
///
/// # Errors
/// [`Code::RANGE`] for `bits` or the percentiles, [`Code::NON_FINITE`], [`Code::NO_DATA`] if there are no values.
pub fn calibrate_percentile(
    values: &[f32],
    bits: u8,
    mode: QuantMode,
    lower: f64,
    upper: f64,
) -> Result<CalibrationResult> {
    let samples = values.len().clamp(1, super::reservoir::MAX_SAMPLES);
    let mut calibrator = Calibrator::percentile(bits, mode, lower, upper, samples)?;
    calibrator.observe(values)?;
    calibrator.compute()
}
