//! The calibrator: batches in, scale and zero point out.

use super::extent::{Extent, NonFinite, finite};
use super::method::{CalibrationMethod, EntropyVariant};
use super::params::CalibrationResult;
use super::state::{State, read_extent, write_extent};
use crate::affine::{QuantMode, QuantRange, QuantScheme, SymmetricRule};
use crate::error::{Code, Error, Result};
use crate::wire::{Reader, Writer};

/// What to calibrate for, beside the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibratorOptions {
    /// Bits, mode and codes the result is for.
    pub scheme: QuantScheme,
    /// What happens to NaN and infinity.
    pub non_finite: NonFinite,
    /// Most values a percentile calibrator keeps; exact while the data has no more. 1 to 1,048,576.
    pub max_samples: usize,
    /// Chooses the sample, once there are more.
    pub seed: u64,
}

/// Values a percentile calibrator keeps unless told otherwise: a percentile `p` of the sample is then the data's to within
/// `sqrt(p (100 - p) / 65536)` points, 0.004 at 99.99.
pub const DEFAULT_SAMPLES: usize = 65_536;

impl CalibratorOptions {
    /// The usual options for a scheme: NaN and infinity are errors, 65,536 samples, seed 0.
    pub fn new(scheme: QuantScheme) -> Self {
        CalibratorOptions { scheme, non_finite: NonFinite::Error, max_samples: DEFAULT_SAMPLES, seed: 0 }
    }

    fn of_bits(bits: u8, symmetric: bool) -> Result<Self> {
        let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
        Ok(Self::new(QuantScheme::new(bits, mode)?))
    }
}

/// A streaming observer of one tensor: it keeps a bounded summary of the batches it is shown.
///
/// ```
/// use quantpress::calibrate::Calibrator;
/// let mut calibrator = Calibrator::percentile(8, false, 0.1, 99.9, 10_000)?;
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
    extent: Option<Extent>,
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
    /// A calibrator of any method and options.
    ///
    /// # Errors
    /// [`Code::RANGE`] for numbers outside what the method or the codes allow.
    pub fn new(method: CalibrationMethod, options: CalibratorOptions) -> Result<Self> {
        method.check()?;
        let state = State::new(method, options.max_samples, options.seed)?;
        Ok(Calibrator { method, options, extent: None, batches: 0, skipped: 0, state })
    }

    /// From the smallest value to the largest, for `bits` (2 to 8) symmetric or asymmetric bits.
    ///
    /// # Errors
    /// [`Code::RANGE`].
    pub fn min_max(bits: u8, symmetric: bool) -> Result<Self> {
        Self::of(CalibrationMethod::MinMax, bits, symmetric)
    }

    /// From one percentile (0 to 100) to another, of a uniform sample of at most `max_samples` values.
    ///
    /// # Errors
    /// [`Code::RANGE`].
    pub fn percentile(bits: u8, symmetric: bool, lower: f64, upper: f64, max_samples: usize) -> Result<Self> {
        let options = CalibratorOptions { max_samples, ..CalibratorOptions::of_bits(bits, symmetric)? };
        Self::new(CalibrationMethod::Percentile { lower, upper }, options)
    }

    /// Exponential averages of the batches' extremes; `momentum` is the weight of a new batch.
    ///
    /// # Errors
    /// [`Code::RANGE`].
    pub fn moving_average(bits: u8, symmetric: bool, momentum: f64) -> Result<Self> {
        Self::of(CalibrationMethod::MovingAverage { momentum }, bits, symmetric)
    }

    /// Least Kullback-Leibler divergence, by either reference's algorithm over 2048 bins.
    ///
    /// # Errors
    /// [`Code::RANGE`].
    pub fn entropy(bits: u8, symmetric: bool, variant: EntropyVariant) -> Result<Self> {
        Self::of(CalibrationMethod::Entropy { variant, bins: 2048, levels: 128 }, bits, symmetric)
    }

    /// Least squared error over a histogram of 2048 bins.
    ///
    /// # Errors
    /// [`Code::RANGE`].
    pub fn mse(bits: u8, symmetric: bool) -> Result<Self> {
        Self::of(CalibrationMethod::MSE, bits, symmetric)
    }

    fn of(method: CalibrationMethod, bits: u8, symmetric: bool) -> Result<Self> {
        Self::new(method, CalibratorOptions::of_bits(bits, symmetric)?)
    }

    /// Observes a batch. An empty one, or one with no finite value under [`NonFinite::Skip`], is not counted.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] with the index of the first NaN or infinity, unless they are skipped; [`Code::RANGE`] if the
    /// method cannot hold the magnitude. What was observed before stays as it was.
    pub fn observe(&mut self, batch: &[f32]) -> Result<()> {
        let values = finite(batch, self.options.non_finite)?;
        if let Some(extent) = Extent::of(&values) {
            self.state.observe(&values, extent)?;
            self.extent = Some(self.extent.map_or(extent, |all| all.union(extent)));
            self.batches += 1;
        }
        self.skipped += (batch.len() - values.len()) as u64;
        Ok(())
    }

    /// [`observe`](Self::observe) of a batch of which only the extent is known to the caller: enough for some methods.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn observe_extent(&mut self, extent: Extent) -> Result<()> {
        self.state.observe(&[], extent)?;
        self.extent = Some(self.extent.map_or(extent, |all| all.union(extent)));
        self.batches += 1;
        Ok(())
    }

    /// The range the method chooses for what was observed, and its scale and zero point.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if nothing was observed.
    pub fn compute(&self) -> Result<CalibrationResult> {
        let Some(all) = self.extent else {
            return Err(Error::new(Code::NO_DATA, "the calibrator has observed 0 batches, and needs 1"));
        };
        let scheme = &self.options.scheme;
        CalibrationResult::new(self.state.range(all, scheme.range()), self.method, scheme)
    }

    /// Batches observed.
    pub fn num_batches(&self) -> u64 {
        self.batches
    }

    /// NaN and infinite values left out.
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

    /// The smallest and the largest finite value observed, whatever the method chooses.
    pub fn extent(&self) -> Option<Extent> {
        self.extent
    }

    /// Whether anything was observed.
    pub fn has_data(&self) -> bool {
        self.batches > 0
    }

    /// Forgets everything observed.
    pub fn reset(&mut self) {
        // The same method and options were accepted before.
        if let Ok(fresh) = Self::new(self.method, self.options) {
            *self = fresh;
        }
    }

    /// As if the batches `later` observed had followed here.
    ///
    /// | method | guarantee |
    /// |---|---|
    /// | min-max | equal to observing all batches here |
    /// | moving average | equal but for rounding |
    /// | percentile | equal while all values fit the sample; beyond that, a uniform sample of all |
    /// | entropy | every value is counted; a value of the histogram with the narrower bins moves by at most half of one of *its* bins |
    /// | MSE | PyTorch's rule: both histograms are spread over the joint range, in 16 parts per bin |
    ///
    /// The same holds for batches observed one after the other whose range grows: see [`CalibrationMethod::Entropy`].
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if methods or codes differ.
    pub fn merge(&mut self, later: &Calibrator) -> Result<()> {
        if self.method != later.method || self.options.scheme != later.options.scheme {
            let (a, b) = (self.method.name(), later.method.name());
            let message =
                format!("a calibrator of {a} does not merge with one of {b}, other parameters or other codes");
            return Err(Error::new(Code::ARGUMENT, message).with("method", a).with("other", b));
        }
        self.state.merge(&later.state)?;
        self.extent = match (self.extent, later.extent) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (a, b) => a.or(b),
        };
        self.batches = self.batches.saturating_add(later.batches);
        self.skipped = self.skipped.saturating_add(later.skipped);
        Ok(())
    }

    /// Everything, as bytes; [`from_bytes`](Self::from_bytes) resumes from them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(TAG, VERSION);
        write_method(self.method, &mut out);
        let CalibratorOptions { scheme, non_finite, max_samples, seed } = self.options;
        out.u8(scheme.bits()).u8(scheme.mode() as u8).i32(scheme.range().qmin).i32(scheme.range().qmax);
        out.u8(scheme.rule() as u8).u8(non_finite as u8).count(max_samples).u64(seed);
        out.u64(self.batches).u64(self.skipped);
        if let Some(extent) = self.extent {
            write_extent(extent, &mut out);
            self.state.write(&mut out);
        }
        out.finish()
    }

    /// The calibrator that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Code::MAGIC`], [`Code::UNSUPPORTED`], [`Code::MALFORMED`] or [`Code::TRUNCATED`] for anything else, [`Code::RANGE`] for numbers no calibrator has.
    /// Never panics, and allocates no more than the bytes account for.
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
            calibrator.extent = Some(read_extent(&mut input)?);
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
/// [`Code::RANGE`] for bits, [`Code::NON_FINITE`], [`Code::NO_DATA`] for no values.
pub fn calibrate_min_max(values: &[f32], bits: u8, symmetric: bool) -> Result<CalibrationResult> {
    let mut calibrator = Calibrator::min_max(bits, symmetric)?;
    calibrator.observe(values)?;
    calibrator.compute()
}

/// Percentile calibration in one call; exact up to 1,048,576 values, beyond that of a uniform sample of as many.
///
/// # Errors
/// [`Code::RANGE`] for bits or percentiles, [`Code::NON_FINITE`], [`Code::NO_DATA`] for no values.
pub fn calibrate_percentile(
    values: &[f32],
    bits: u8,
    symmetric: bool,
    lower: f64,
    upper: f64,
) -> Result<CalibrationResult> {
    let samples = values.len().clamp(1, super::sample::MAX_SAMPLES);
    let mut calibrator = Calibrator::percentile(bits, symmetric, lower, upper, samples)?;
    calibrator.observe(values)?;
    calibrator.compute()
}
