//! The benchmark from data to accuracies.

use super::super::generators::Random;
use super::super::suite::accuracy_retention;
use super::data::Digits;
use super::mlp::{Mlp, Plain};
use super::ptq::Ptq;
use super::qat::Qat;
use crate::calibrate::CalibrationMethod;
use crate::check;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AccuracyOptions {
    /// Chooses the split, the first weights and the order of training.
    pub seed: u64,
    /// Hidden units, 1 to 1024.
    pub hidden: usize,
    /// Epochs of training in floating point, 1 to 1000.
    pub epochs: u32,
    /// Epochs of quantization-aware training after them, 1 to 1000.
    pub qat_epochs: u32,
}

impl Default for AccuracyOptions {
    fn default() -> Self {
        AccuracyOptions { seed: 1, hidden: 32, epochs: 30, qat_epochs: 20 }
    }
}

/// A trained classifier, to be quantized in any way.
pub struct AccuracyBenchmark {
    options: AccuracyOptions,
    train: Digits,
    test: Digits,
    model: Mlp,
    original: f64,
}

/// Test accuracy after training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PtqAccuracy {
    /// Bits of weights and activations.
    pub bits: u8,
    /// How the ranges were found.
    pub method: CalibrationMethod,
    /// Share of the test images that are classified right.
    pub accuracy: f64,
    /// Share of the original accuracy that is kept ([`accuracy_retention`]).
    pub retention: f64,
}

/// Test accuracy after quantization-aware training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QatAccuracy {
    /// Bits of weights and activations.
    pub bits: u8,
    /// Share of the test images that are classified right.
    pub accuracy: f64,
    /// Share of the original accuracy that is kept ([`accuracy_retention`]).
    pub retention: f64,
}

/// Everything: the classifier, and its accuracy in every form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccuracyReport {
    /// Images trained on.
    pub num_train: usize,
    /// Images tested on.
    pub num_test: usize,
    /// Weights and biases.
    pub num_parameters: usize,
    /// Test accuracy in floating point.
    pub original_accuracy: f64,
    /// From 8 bits to 2, every calibration method.
    pub ptq: Vec<PtqAccuracy>,
    /// From 8 bits to 2.
    pub qat: Vec<QatAccuracy>,
}

impl AccuracyReport {
    /// The best post-training accuracy of a bit width: the method chosen with the test set in hand, which favours PTQ.
    pub fn best_ptq(&self, bits: u8) -> Option<&PtqAccuracy> {
        self.ptq.iter().filter(|row| row.bits == bits).max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
    }

    /// The quantization-aware accuracy of a bit width.
    pub fn qat(&self, bits: u8) -> Option<&QatAccuracy> {
        self.qat.iter().find(|row| row.bits == bits)
    }
}

/// The calibration methods the benchmark compares, each with its usual parameters.
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
    /// Splits the data and trains the classifier in floating point.
    ///
    /// # Errors
    /// [`Code::RANGE`] for options out of range, [`Code::NO_DATA`] for fewer than 8 images.
    pub fn new(digits: &Digits, options: AccuracyOptions) -> Result<Self> {
        check::within("hidden", options.hidden as f64, 1.0, 1024.0)?;
        check::within("epochs", options.epochs, 1, 1000)?;
        check::within("qatEpochs", options.qat_epochs, 1, 1000)?;
        if digits.len() < 8 {
            let message = format!("{} images are too few to train and test on; at least 8 are needed", digits.len());
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

    /// Quantizes the trained classifier.
    ///
    /// # Errors
    /// [`Code::RANGE`] for bits or a method's numbers out of range.
    pub fn ptq(&self, bits: u8, method: CalibrationMethod) -> Result<PtqAccuracy> {
        let mut ptq = Ptq::calibrate(&self.model, &self.train, bits, method)?;
        let accuracy = self.model.accuracy(&self.test, &mut ptq);
        Ok(PtqAccuracy { bits, method, accuracy, retention: accuracy_retention(self.original, accuracy)? })
    }

    /// Trains a copy of the classifier on with fake quantization.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2 to 8.
    pub fn qat(&self, bits: u8) -> Result<QatAccuracy> {
        check::within("bits", bits, 2, 8)?;
        let mut random = Random::new(Some(self.options.seed.wrapping_add(u64::from(bits))))?;
        let mut model = self.model.clone();
        let mut qat = Qat::new(&model, &self.train, bits)?;
        model.train(&self.train, self.options.qat_epochs, 0.002, &mut random, &mut qat);
        let accuracy = model.accuracy(&self.test, &mut qat);
        Ok(QatAccuracy { bits, accuracy, retention: accuracy_retention(self.original, accuracy)? })
    }

    /// All bit widths, all methods.
    ///
    /// # Errors
    /// None that valid options leave open.
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

/// Trains, quantizes in every way, and reports.
///
/// # Errors
/// Those of [`AccuracyBenchmark::new`].
pub fn run_accuracy_benchmark(digits: &Digits, options: AccuracyOptions) -> Result<AccuracyReport> {
    AccuracyBenchmark::new(digits, options)?.report()
}
