//! Observers that determine the range of a tensor from batches of it: min-max, moving average, percentile, entropy,
//! MSE.
//!
//! A [`Calibrator`] is streaming: it observes batches, keeps a summary of bounded size, and computes the scale and zero
//! point of an integer quantizer ([`CalibrationResult`]). Calibrators with the same configuration can be
//! [merged](Calibrator::merge), so shards of a data set can be observed separately, and
//! [serialized](Calibrator::to_bytes), so a run can be resumed.
//!
//! | method | summary | range | reference |
//! |---|---|---|---|
//! | [`MinMax`](CalibrationMethod::MinMax) | two numbers | minimum to maximum | PyTorch `MinMaxObserver` |
//! | [`MovingAverage`](CalibrationMethod::MovingAverage) | four numbers | exponential averages of the batches' minima and maxima | PyTorch `MovingAverageMinMaxObserver` |
//! | [`Percentile`](CalibrationMethod::Percentile) | a uniform sample ([`Reservoir`]) | two percentiles | NumPy `percentile`, method "linear" |
//! | [`Entropy`](CalibrationMethod::Entropy) | a growing histogram | the smallest Kullback-Leibler divergence | ONNX Runtime, TensorRT / modelopt |
//! | [`Mse`](CalibrationMethod::Mse) | a histogram of fixed size | the smallest squared error | PyTorch `HistogramObserver` |

pub(crate) mod calibrator;
mod entropy;
mod histogram;
mod method;
mod min_max;
mod moving_average;
mod mse;
mod numpy;
mod percentile;
mod reservoir;
mod result;
mod state;

pub use calibrator::{Calibrator, CalibratorOptions, calibrate_min_max, calibrate_percentile};
pub use method::{CalibrationMethod, EntropyVariant};
pub use min_max::{MinMax, NonFinite};
pub use percentile::percentile;
pub use reservoir::Reservoir;
pub use result::CalibrationResult;
