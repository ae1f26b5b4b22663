//! Observers that find a range: min-max, moving average, percentile, entropy, MSE.
