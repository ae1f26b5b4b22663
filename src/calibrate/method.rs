//! The calibration methods.

use crate::error::{Code, Error, Result};
#[cfg(feature = "serde")]
use crate::tagged_enum::{required, unknown_kind};
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// How a [`Calibrator`](super::Calibrator) determines the range of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(try_from = "Fields", tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")
)]
pub enum CalibrationMethod {
    /// The minimum and maximum.
    MinMax,
    /// Two percentiles, interpolated linearly as in NumPy.
    Percentile {
        /// The lower percentile, 0 to 100.
        lower: f64,
        /// The upper percentile, above `lower` and at most 100.
        upper: f64,
    },
    /// Exponential averages of the batches' minima and maxima. The first batch initializes them; each further one
    /// updates `m += momentum * (batch - m)`.
    MovingAverage {
        /// The weight of a new batch, above 0 and at most 1. PyTorch's `averaging_constant` (default 0.01).
        momentum: f64,
    },
    /// The clipping range whose quantized distribution has the smallest Kullback-Leibler divergence from the data's.
    ///
    /// A batch that exceeds the current range adds bins of the same width, as in both references. A histogram that
    /// would need more than 16,384 bins, where the references allocate up to gigabytes, starts again with `bins` bins
    /// over the whole range. The new batch is then counted as if it were the first, and earlier values move by at most
    /// half an old bin width. However much the range grows, there are at most 16,384 bins, and the result stays close
    /// to that for a single batch with all values (tests/calibrate.rs checks the bounds).
    Entropy {
        /// The reference algorithm.
        variant: EntropyVariant,
        /// The initial number of bins, 2 to 16,384.
        bins: usize,
        /// Levels of the trial quantization (ONNX Runtime only; TensorRT's follow from the codes).
        levels: usize,
    },
    /// The clipping range with the smallest squared quantization error: the search of PyTorch's `HistogramObserver`.
    Mse {
        /// The number of bins of the histogram.
        bins: usize,
    },
}

/// The serialized form of a method.
#[cfg(feature = "serde")]
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

#[cfg(feature = "serde")]
impl TryFrom<Fields> for CalibrationMethod {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { kind, lower, upper, momentum, variant, bins, levels } = fields;
        let number = |name, value| required(&kind, name, value);
        let count = |name, value| required(&kind, name, value);
        Ok(match &*kind {
            "minMax" => CalibrationMethod::MinMax,
            "percentile" => {
                CalibrationMethod::Percentile { lower: number("lower", lower)?, upper: number("upper", upper)? }
            }
            "movingAverage" => CalibrationMethod::MovingAverage { momentum: number("momentum", momentum)? },
            "entropy" => CalibrationMethod::Entropy {
                variant: required(&kind, "variant", variant)?,
                bins: count("bins", bins)?,
                levels: count("levels", levels)?,
            },
            "mse" => CalibrationMethod::Mse { bins: count("bins", bins)? },
            _ => return unknown_kind(&kind, &["minMax", "percentile", "movingAverage", "entropy", "mse"]),
        })
    }
}

/// The reference for entropy calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum EntropyVariant {
    /// TensorRT's algorithm, as published in nvidia-modelopt: a histogram of magnitudes.
    TensorRt,
    /// ONNX Runtime's algorithm: a histogram symmetric about 0, with smoothing of both distributions.
    OnnxRuntime,
}

/// The maximum number of bins of a histogram, initially and after growing; beyond it the bins become wider.
pub const MAX_BINS: usize = 16_384;

impl CalibrationMethod {
    /// TensorRT's entropy calibration with its 2048 bins.
    pub const ENTROPY_TENSORRT: Self =
        CalibrationMethod::Entropy { variant: EntropyVariant::TensorRt, bins: 2048, levels: 128 };
    /// ONNX Runtime's entropy calibration with 2048 bins, because its default of 128 leaves only one candidate.
    pub const ENTROPY_ONNX: Self =
        CalibrationMethod::Entropy { variant: EntropyVariant::OnnxRuntime, bins: 2048, levels: 128 };
    /// MSE calibration with PyTorch's 2048 bins.
    pub const MSE: Self = CalibrationMethod::Mse { bins: 2048 };

    /// The name of the method, as spelled in JavaScript's `method.kind`.
    pub const fn name(&self) -> &'static str {
        match self {
            CalibrationMethod::MinMax => "minMax",
            CalibrationMethod::Percentile { .. } => "percentile",
            CalibrationMethod::MovingAverage { .. } => "movingAverage",
            CalibrationMethod::Entropy { .. } => "entropy",
            CalibrationMethod::Mse { .. } => "mse",
        }
    }

    /// Checks the parameters of the method.
    pub(super) fn check(&self) -> Result<()> {
        match *self {
            CalibrationMethod::MinMax => Ok(()),
            CalibrationMethod::Percentile { lower, upper } => {
                let ordered = 0.0 <= lower && lower < upper && upper <= 100.0;
                require(ordered, || {
                    format!("the percentiles are {lower} and {upper}, and must be 0 <= lower < upper <= 100")
                })
            }
            CalibrationMethod::MovingAverage { momentum } => require(0.0 < momentum && momentum <= 1.0, || {
                format!("momentum is {momentum}, and must be above 0 and at most 1")
            }),
            CalibrationMethod::Entropy { bins, levels, .. } => {
                check_bins(bins)?;
                let fits = (2..=bins).contains(&levels);
                require(fits, || format!("levels is {levels}, and must be from 2 to {bins}, the number of bins"))
            }
            CalibrationMethod::Mse { bins } => check_bins(bins),
        }
    }
}

fn check_bins(bins: usize) -> Result<()> {
    require((2..=MAX_BINS).contains(&bins), || {
        format!("the number of bins is {bins}, and must be from 2 to {MAX_BINS}")
    })
}

fn require(holds: bool, message: impl Fn() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::new(Code::RANGE, message())) }
}
