//! Quantization error: statistics, histograms, outliers, sensitivity, bit-width sweeps.
//!
//! | | |
//! |---|---|
//! | [`ErrorAccumulator`], [`QuantErrorStats`] | the statistics, accumulated over tiles in double precision |
//! | [`DistortionSums`] | the error of encoded tiles, as sums that can be merged |
//! | [`WeightError`] | the error of a whole file, from those of its tensors |
//! | [`analyze_error`], [`analyze_error_4bit`], [`analyze_error_format`] | the error of affine parameters, of NF4 / FP4 / INT4, of any block format |
//! | [`Scheme`] | any of the three as a value, for comparing them |
//! | [`Histogram`] | histograms of weights and of errors |
//! | [`find_outliers`], [`worst_errors`], [`analyze_outlier_impact`] | outliers, and the effect of clipping them |
//! | [`scale_sensitivity`], [`scale_sweep`], [`compare_bit_widths`] | the error as a function of the scale and of the number of bits |
//! | [`theoretical_sqnr`], [`theoretical_max_error`], [`error_within_bounds`] | theoretical bounds |
//!
//! All ratios are scale-invariant: no absolute epsilon is used for "zero".

pub(crate) mod analyze;
mod distortion;
mod histogram;
mod outliers;
mod scheme;
pub(crate) mod sensitivity;
pub(crate) mod stats;
mod theory;
mod weight_error;

pub use analyze::{analyze_error, analyze_error_4bit, analyze_error_format, analyze_error_scheme};
pub use distortion::DistortionSums;
pub use histogram::{Histogram, error_histogram};
pub use outliers::{Outlier, OutlierImpact, analyze_outlier_impact, find_outliers, worst_errors};
pub use scheme::{Encoded, Scheme};
pub use sensitivity::{
    BitWidthError, ScalePoint, ScaleSensitivity, compare_bit_widths, scale_sensitivity, scale_sweep,
};
pub use stats::{ErrorAccumulator, QuantErrorStats, compare};
pub use theory::{Signal, error_within_bounds, theoretical_max_error, theoretical_sqnr, worst_error_in_steps};
pub use weight_error::WeightError;
