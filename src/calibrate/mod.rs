//! Observers that find the range of a tensor from batches of it: min-max, moving average, percentile, entropy, MSE.
//!
//! A [`Calibrator`] streams: it sees batches, keeps a bounded summary of them, and answers with the scale and zero point
//! of an integer quantizer ([`CalibrationResult`]). Calibrators of the same configuration [merge](Calibrator::merge), so
//! shards of a data set can be observed apart, and [serialize](Calibrator::to_bytes), so a run can be resumed.
//!
//! | method | summary kept | range | reference |
//! |---|---|---|---|
//! | [`MinMax`](CalibrationMethod::MinMax) | two numbers | smallest to largest | PyTorch `MinMaxObserver` |
//! | [`MovingAverage`](CalibrationMethod::MovingAverage) | four numbers | exponential averages of the batches' extremes | PyTorch `MovingAverageMinMaxObserver` |
//! | [`Percentile`](CalibrationMethod::Percentile) | a uniform sample ([`Sample`]) | two percentiles | NumPy `percentile`, method "linear" |
//! | [`Entropy`](CalibrationMethod::Entropy) | a histogram that grows | the clip of least Kullback-Leibler divergence | ONNX Runtime, TensorRT / modelopt |
//! | [`Mse`](CalibrationMethod::Mse) | a histogram of fixed size | the clip of least squared error | PyTorch `HistogramObserver` |

mod calibrator;
mod entropy;
mod extent;
mod histogram;
mod method;
mod moving;
mod mse;
mod numpy;
mod params;
mod percentile;
mod sample;
mod state;

pub use calibrator::{Calibrator, CalibratorOptions, calibrate_min_max, calibrate_percentile};
pub use extent::{Extent, NonFinite};
pub use method::{CalibrationMethod, EntropyVariant};
pub use params::CalibrationResult;
pub use percentile::percentile;
pub use sample::Sample;
