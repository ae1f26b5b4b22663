//! The complete benchmark, from the data to the accuracies.

use super::super::generators::Random;
use super::super::suite::accuracy_retention;
use super::data::Digits;
use super::mlp::{Mlp, Plain};
use super::ptq::Ptq;
use super::qat::Qat;
use crate::calibrate::CalibrationMethod;
use crate::error::{Code, Error, Result};
use crate::setters::setter;
use crate::validation;
use serde::{Deserialize, Serialize};

/// Training options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AccuracyOptions {
    /// The seed for the split, the initial weights and the order of training.
    pub seed: u64,
    /// The number of hidden units, 1 to 1024.
    pub hidden: usize,
    /// The number of epochs in floating point, 1 to 1000.
    pub epochs: u32,
    /// The number of epochs of quantization-aware training after those, 1 to 1000.
    pub qat_epochs: u32,
}

impl Default for AccuracyOptions {
    fn default() -> Self {
        AccuracyOptions { seed: 1, hidden: 32, epochs: 30, qat_epochs: 20 }
    }
}

impl AccuracyOptions {
    setter!(with_seed, seed: u64);
    setter!(with_hidden, hidden: usize);
    setter!(with_epochs, epochs: u32);
    setter!(with_qat_epochs, qat_epochs: u32);
}

/// A trained classifier that can be quantized in various ways.
pub struct AccuracyBenchmark {
    options: AccuracyOptions,
    train: Digits,
    test: Digits,
    model: Mlp,
    original: f64,
}

/// Test accuracy after post-training quantization.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PtqAccuracy {
    /// Bits of weights and activations.
    pub bits: u8,
    /// The calibration method of the ranges.
    pub method: CalibrationMethod,
    /// The fraction of test images that are classified correctly.
    pub accuracy: f64,
    /// The fraction of the original accuracy that is kept ([`accuracy_retention`]).
    pub retention: f64,
}

/// Test accuracy after quantization-aware training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct QatAccuracy {
    /// Bits of weights and activations.
    pub bits: u8,
    /// The fraction of test images that are classified correctly.
    pub accuracy: f64,
    /// The fraction of the original accuracy that is kept ([`accuracy_retention`]).
    pub retention: f64,
}

/// The result of the complete benchmark: the classifier, and its accuracy for each quantization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AccuracyReport {
    /// The number of training images.
    pub num_train: usize,
    /// The number of test images.
    pub num_test: usize,
    /// The number of weights and biases.
    pub num_parameters: usize,
    /// Test accuracy in floating point.
    pub original_accuracy: f64,
    /// Post-training quantization from 8 to 2 bits with each calibration method.
    pub ptq: Vec<PtqAccuracy>,
    /// Quantization-aware training from 8 to 2 bits.
    pub qat: Vec<QatAccuracy>,
}

impl AccuracyReport {
    /// The best post-training accuracy for a bit width. The method is selected on the test set, which favours PTQ.
    pub fn best_ptq(&self, bits: u8) -> Option<&PtqAccuracy> {
        self.ptq.iter().filter(|row| row.bits == bits).max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
    }

    /// The accuracy of quantization-aware training for a bit width.
    pub fn qat(&self, bits: u8) -> Option<&QatAccuracy> {
        self.qat.iter().find(|row| row.bits == bits)
    }
}

/// The calibration methods that the benchmark compares, with their usual parameters.
pub fn calibration_methods() -> [CalibrationMethod; 6] {
    [
        CalibrationMethod::MinMax,
        CalibrationMethod::MovingAverage { momentum: 0.1 },
        CalibrationMethod::Percentile { lower: 0.5, upper: 99.5 },
        CalibrationMethod::ENTROPY_TENSORRT,
        CalibrationMethod::ENTROPY_ONNX,
        CalibrationMethod::MSE,
    ]
}

impl AccuracyBenchmark {
    /// Trains the classifier in floating point on three quarters of the crate's digits ([`Digits::bundled`]).
    ///
    /// # Errors
    /// [`Code::RANGE`] for options out of range.
    pub fn new(options: AccuracyOptions) -> Result<Self> {
        Self::with_digits(&Digits::bundled()?, options)
    }

    /// Trains the classifier on three quarters of another data set.
    ///
    /// # Errors
    /// [`Code::RANGE`] for options out of range, [`Code::NO_DATA`] for fewer than 8 images.
    pub fn with_digits(digits: &Digits, options: AccuracyOptions) -> Result<Self> {
        validation::within("hidden", options.hidden as f64, 1.0, 1024.0)?;
        validation::within("epochs", options.epochs, 1, 1000)?;
        validation::within("qatEpochs", options.qat_epochs, 1, 1000)?;
        if digits.len() < 8 {
            let message =
                format!("{} images are too few to train and test with; there must be at least 8", digits.len());
            return Err(Error::new(Code::NO_DATA, message).with("images", digits.len()));
        }
        let mut random = Random::new(Some(options.seed))?;
        let (train, test) = digits.split(&mut random);
        let mut model = Mlp::new(options.hidden, &mut random);
        model.train(&train, options.epochs, 0.005, &mut random, &mut Plain);
        let original = model.accuracy(&test, &mut Plain);
        Ok(AccuracyBenchmark { options, train, test, model, original })
    }

    /// Test accuracy in floating point.
    pub fn original_accuracy(&self) -> f64 {
        self.original
    }

    /// Quantizes the trained classifier after training.
    ///
    /// # Errors
    /// [`Code::RANGE`] for `bits` or method parameters out of range.
    pub fn ptq(&self, bits: u8, method: CalibrationMethod) -> Result<PtqAccuracy> {
        let mut ptq = Ptq::calibrate(&self.model, &self.train, bits, method)?;
        let accuracy = self.model.accuracy(&self.test, &mut ptq);
        Ok(PtqAccuracy { bits, method, accuracy, retention: accuracy_retention(self.original, accuracy)? })
    }

    /// Continues training a copy of the classifier with fake quantization.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2 to 8.
    pub fn qat(&self, bits: u8) -> Result<QatAccuracy> {
        validation::within("bits", bits, 2, 8)?;
        let mut random = Random::new(Some(self.options.seed.wrapping_add(u64::from(bits))))?;
        let mut model = self.model.clone();
        let mut qat = Qat::new(&model, &self.train, bits)?;
        model.train(&self.train, self.options.qat_epochs, 0.002, &mut random, &mut qat);
        let accuracy = model.accuracy(&self.test, &mut qat);
        Ok(QatAccuracy { bits, accuracy, retention: accuracy_retention(self.original, accuracy)? })
    }

    /// Runs all bit widths and methods.
    ///
    /// # Errors
    /// None for valid options.
    pub fn report(&self) -> Result<AccuracyReport> {
        let widths = || (2..=8u8).rev();
        let rows = widths().flat_map(|bits| calibration_methods().map(|method| (bits, method)));
        Ok(AccuracyReport {
            num_train: self.train.len(),
            num_test: self.test.len(),
            num_parameters: self.model.parameters(),
            original_accuracy: self.original,
            ptq: rows.map(|(bits, method)| self.ptq(bits, method)).collect::<Result<_>>()?,
            qat: widths().map(|bits| self.qat(bits)).collect::<Result<_>>()?,
        })
    }
}

/// Trains the classifier on the crate's digits, quantizes it in all ways, and returns the accuracies.
///
/// # Errors
/// As for [`AccuracyBenchmark::new`].
pub fn run_accuracy_benchmark(options: AccuracyOptions) -> Result<AccuracyReport> {
    AccuracyBenchmark::new(options)?.report()
}
