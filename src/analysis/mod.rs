//! Error statistics, histograms, sensitivity, outliers.
