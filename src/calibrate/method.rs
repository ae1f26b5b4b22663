//! The ways to choose a range.

use crate::error::{Code, Error, Result};
use crate::tagged::{needed, unknown};
use serde::{Deserialize, Serialize};

/// How a [`Calibrator`](super::Calibrator) chooses the range of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CalibrationMethod {
    /// From the smallest value to the largest.
    MinMax,
    /// From one percentile to another, interpolated linearly as NumPy does.
    Percentile {
        /// Where the range begins, 0 to 100.
        lower: f64,
        /// Where it ends, above `lower` and at most 100.
        upper: f64,
    },
    /// Exponential averages of the batches' minima and maxima: the first batch sets them, then
    /// `m += momentum * (batch - m)`.
    MovingAverage {
        /// The weight of a new batch, above 0 and at most 1. PyTorch's `averaging_constant` (default 0.01).
        momentum: f64,
    },
    /// The clip whose quantized distribution has least Kullback-Leibler divergence from the data's.
    ///
    /// A batch that reaches further than those before it adds bins of the same width, as in both references. A histogram that
    /// would need more than 16,384 bins, where the references go on to gigabytes, begins again with `bins` bins over the
    /// whole range: the new batch is then counted as if it had been the first, and each value from before at most half of
    /// an old bin from its place. Growth by any factor so keeps `bins` to 16,384 bins, and the range stays that of one batch
    /// with all the values within the bounds that tests/calibrate.rs holds.
    Entropy {
        /// Whose algorithm.
        variant: EntropyVariant,
        /// Bins of the first histogram, 2 to 16,384.
        bins: usize,
        /// Levels of the trial quantization (ONNX Runtime only: TensorRT's follow from the codes).
        levels: usize,
    },
    /// The clip whose quantization has least squared error: PyTorch's `HistogramObserver` search.
    Mse {
        /// Bins of the histogram.
        bins: usize,
    },
}

/// What a method is read from.
#[derive(Deserialize)]
struct Fields {
    kind: String,
    lower: Option<f64>,
    upper: Option<f64>,
    momentum: Option<f64>,
    variant: Option<EntropyVariant>,
    bins: Option<usize>,
    levels: Option<usize>,
}

impl TryFrom<Fields> for CalibrationMethod {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { kind, lower, upper, momentum, variant, bins, levels } = fields;
        let number = |name, value| needed(&kind, name, value);
        let count = |name, value| needed(&kind, name, value);
        Ok(match &*kind {
            "minMax" => CalibrationMethod::MinMax,
            "percentile" => {
                CalibrationMethod::Percentile { lower: number("lower", lower)?, upper: number("upper", upper)? }
            }
            "movingAverage" => CalibrationMethod::MovingAverage { momentum: number("momentum", momentum)? },
            "entropy" => CalibrationMethod::Entropy {
                variant: needed(&kind, "variant", variant)?,
                bins: count("bins", bins)?,
                levels: count("levels", levels)?,
            },
            "mse" => CalibrationMethod::Mse { bins: count("bins", bins)? },
            _ => return unknown(&kind, &["minMax", "percentile", "movingAverage", "entropy", "mse"]),
        })
    }
}

/// Whose entropy calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntropyVariant {
    /// TensorRT's, as nvidia-modelopt publishes it: a histogram of magnitudes.
    TensorRt,
    /// ONNX Runtime's: a histogram symmetric about 0, both distributions smoothed.
    OnnxRuntime,
}

/// Most bins a histogram may begin with or grow to; beyond it the bins become wider.
pub const MAX_BINS: usize = 16_384;

impl CalibrationMethod {
    /// Entropy as TensorRT does it, with its 2048 bins.
    pub const ENTROPY_TENSORRT: Self =
        CalibrationMethod::Entropy { variant: EntropyVariant::TensorRt, bins: 2048, levels: 128 };
    /// Entropy as ONNX Runtime does it. Its own default of 128 bins leaves a single candidate, hence 2048.
    pub const ENTROPY_ONNX: Self =
        CalibrationMethod::Entropy { variant: EntropyVariant::OnnxRuntime, bins: 2048, levels: 128 };
    /// MSE with PyTorch's 2048 bins.
    pub const MSE: Self = CalibrationMethod::Mse { bins: 2048 };

    /// The name of the method, as JavaScript spells it in `method.kind`.
    pub const fn name(&self) -> &'static str {
        match self {
            CalibrationMethod::MinMax => "minMax",
            CalibrationMethod::Percentile { .. } => "percentile",
            CalibrationMethod::MovingAverage { .. } => "movingAverage",
            CalibrationMethod::Entropy { .. } => "entropy",
            CalibrationMethod::Mse { .. } => "mse",
        }
    }

    /// Checks the method's numbers.
    pub(super) fn check(&self) -> Result<()> {
        match *self {
            CalibrationMethod::MinMax => Ok(()),
            CalibrationMethod::Percentile { lower, upper } => {
                let ordered = 0.0 <= lower && lower < upper && upper <= 100.0;
                require(ordered, || format!("percentiles {lower} and {upper} are not 0 <= lower < upper <= 100"))
            }
            CalibrationMethod::MovingAverage { momentum } => require(0.0 < momentum && momentum <= 1.0, || {
                format!("momentum {momentum} is not above 0 and at most 1")
            }),
            CalibrationMethod::Entropy { bins, levels, .. } => {
                check_bins(bins)?;
                let fits = (2..=bins).contains(&levels);
                require(fits, || format!("{levels} levels are not 2 to {bins}, the number of bins"))
            }
            CalibrationMethod::Mse { bins } => check_bins(bins),
        }
    }
}

fn check_bins(bins: usize) -> Result<()> {
    require((2..=MAX_BINS).contains(&bins), || format!("a histogram of {bins} bins is not one of 2 to {MAX_BINS}"))
}

fn require(holds: bool, message: impl Fn() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::new(Code::RANGE, message())) }
}
