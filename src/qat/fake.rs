//! Fake quantization with straight-through gradients.

use super::config::FakeQuantConfig;
use super::observer::{RangeRule, Ranges};
use crate::affine::kernel::Affine;
use crate::affine::{Prepared, QuantGranularity, QuantParams, ranges_of};
use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
use crate::tiling::{Input, Output, map_tiles, tiles};
use crate::validation;

/// Quantizes and dequantizes in one step, with scales from observed ranges.
///
/// ```text
/// forward    y  = s (clamp(round_half_even(x (1 / s)) + z, qmin, qmax) - z)
/// backward   dx = dy                                            straight through
/// clamped    dx = dy where round_half_even(x (1 / s)) + z is in qmin..=qmax, else 0
/// ```
///
/// `forward` and `backward_clamped` are bit-identical to PyTorch's `fake_quantize_per_tensor_affine` and
/// `_per_channel_affine`. As in PyTorch, observing and quantizing can be switched separately: train with both, then
/// stop observing, then convert with [`to_params`](Self::to_params), which does not change any value.
///
/// ```
/// use quantpress::qat::{FakeQuantConfig, FakeQuantize};
/// let mut fake = FakeQuantize::new(FakeQuantConfig::q8_symmetric())?;
/// let y = fake.forward_with_calibration(&[0.3, -63.5, 12.6], &[3])?; // the scale is 63.5 / 127
/// assert_eq!(y, [0.5, -63.5, 12.5]);
/// # Ok::<(), quantpress::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FakeQuantize {
    config: FakeQuantConfig,
    granularity: QuantGranularity,
    rule: RangeRule,
    ranges: Ranges,
    params: Option<QuantParams>,
    observing: bool,
    quantizing: bool,
}

const TAG: [u8; 4] = *b"QPfq";
const VERSION: u8 = 1;

impl FakeQuantize {
    /// Creates a per-tensor fake quantization that observes with a moving average of momentum 0.01.
    ///
    /// # Errors
    /// As for [`FakeQuantConfig::scheme`].
    pub fn new(config: FakeQuantConfig) -> Result<Self> {
        Self::with_granularity(config, QuantGranularity::PerTensor)
    }

    /// Creates a fake quantization with any granularity, such as one scale per channel.
    ///
    /// # Errors
    /// As for [`FakeQuantConfig::scheme`].
    pub fn with_granularity(config: FakeQuantConfig, granularity: QuantGranularity) -> Result<Self> {
        config.scheme()?;
        let (rule, ranges) = (RangeRule::default(), Ranges::default());
        Ok(FakeQuantize { config, granularity, rule, ranges, params: None, observing: true, quantizing: true })
    }

    /// Replaces the rule for observing ranges.
    ///
    /// # Errors
    /// [`Code::RANGE`] for an invalid momentum.
    pub fn with_observer(self, rule: RangeRule) -> Result<Self> {
        rule.check().map(|()| FakeQuantize { rule, ..self })
    }

    /// 4 bits, symmetric, per tensor.
    pub fn q4() -> Self {
        Self::of(FakeQuantConfig::q4_symmetric())
    }

    /// 8 bits, symmetric, per tensor.
    pub fn q8() -> Self {
        Self::of(FakeQuantConfig::q8_symmetric())
    }

    /// [`new`](Self::new) for a configuration that is known to be valid.
    fn of(config: FakeQuantConfig) -> Self {
        let (granularity, rule, ranges) = (QuantGranularity::PerTensor, RangeRule::default(), Ranges::default());
        FakeQuantize { config, granularity, rule, ranges, params: None, observing: true, quantizing: true }
    }

    /// Resets the observed ranges and uses those of `data` alone.
    ///
    /// # Errors
    /// As for [`observe`](Self::observe).
    pub fn calibrate(&mut self, data: &[f32], shape: &[usize]) -> Result<()> {
        let mut fresh = FakeQuantize { ranges: Ranges::default(), ..self.clone() };
        fresh.observe(data, shape)?;
        *self = fresh;
        Ok(())
    }

    /// Updates the ranges with a batch, whether observing is enabled or not.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if the number of values does not match `shape` or the number of channels has changed,
    /// [`Code::NON_FINITE`] with the index of the first NaN or infinite value, [`Code::NO_DATA`] for an empty batch.
    /// After an error the state is unchanged.
    pub fn observe(&mut self, data: &[f32], shape: &[usize]) -> Result<()> {
        self.observe_tiles(data, shape)
    }

    /// [`observe`](Self::observe) for any array.
    pub(crate) fn observe_tiles(&mut self, data: impl Input<Item = f32>, shape: &[usize]) -> Result<()> {
        validation::shape("the batch", data.len(), shape)?;
        let batch = ranges_of(data, shape, self.granularity)?;
        let mut ranges = self.ranges.clone();
        ranges.observe(&batch, self.rule)?;
        let scheme = self.config.scheme()?;
        let bounds = ranges.lows.iter().zip(&ranges.highs);
        let pairs = bounds.map(|(&low, &high)| scheme.parameters(low, high)).collect::<Result<Vec<_>>>()?;
        let (scales, zero_points): (Vec<f32>, Vec<i32>) = pairs.into_iter().unzip();
        self.set_parameters(scales, zero_points)?;
        self.ranges = ranges;
        Ok(())
    }

    /// Sets scales and zero points directly, one of each per channel.
    ///
    /// # Errors
    /// As for [`QuantParams::check`].
    pub fn set_parameters(&mut self, scales: Vec<f32>, zero_points: Vec<i32>) -> Result<()> {
        let FakeQuantConfig { bits, mode, .. } = self.config;
        let (granularity, range) = (self.granularity, self.config.range);
        let params = QuantParams { scales, zero_points, granularity, mode, bits, range };
        params.check()?;
        self.params = Some(params);
        Ok(())
    }

    /// Returns the values that a quantized network would compute with, or the input if quantizing is disabled.
    ///
    /// # Errors
    /// As for [`forward_into`](Self::forward_into).
    pub fn forward(&self, input: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
        let mut out = allocation::zeros(input.len())?;
        self.forward_into(input, shape, &mut out)?;
        Ok(out)
    }

    /// [`forward`](Self::forward) into a caller's buffer of the same length.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if nothing was observed yet, [`Code::LENGTH`] if input, shape, channels and output do not
    /// match, [`Code::NON_FINITE`] with the index of the first NaN or infinite value.
    pub fn forward_into(&self, input: &[f32], shape: &[usize], out: &mut [f32]) -> Result<()> {
        self.forward_tiles(input, shape, out)
    }

    /// [`forward_into`](Self::forward_into) for any arrays.
    pub(crate) fn forward_tiles(
        &self,
        input: impl Input<Item = f32>,
        shape: &[usize],
        out: impl Output<Item = f32>,
    ) -> Result<()> {
        validation::length("the output", out.len(), input.len())?;
        let prepared = self.prepared(shape, input.len())?;
        map_tiles(input, out, |start, input, out| match &prepared {
            Some(prepared) => prepared.fake(input, start, out),
            None => {
                out.copy_from_slice(input);
                Ok(())
            }
        })
    }

    /// A training step: observes the input if observing is enabled, then runs [`forward`](Self::forward).
    ///
    /// # Errors
    /// As for [`observe`](Self::observe) and [`forward_into`](Self::forward_into).
    pub fn forward_with_calibration(&mut self, input: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
        let mut out = allocation::zeros(input.len())?;
        self.forward_with_calibration_into(input, shape, &mut out)?;
        Ok(out)
    }

    /// [`forward_with_calibration`](Self::forward_with_calibration) into a caller's buffer of the same length.
    ///
    /// # Errors
    /// As for [`observe`](Self::observe) and [`forward_into`](Self::forward_into).
    pub fn forward_with_calibration_into(&mut self, input: &[f32], shape: &[usize], out: &mut [f32]) -> Result<()> {
        validation::length("the output", out.len(), input.len())?;
        if self.observing {
            self.observe(input, shape)?;
        }
        self.forward_into(input, shape, out)
    }

    /// The straight-through estimator: returns the gradient unchanged.
    pub fn backward(&self, grad_output: &[f32]) -> Vec<f32> {
        super::straight_through::ste_backward(grad_output)
    }

    /// Returns the gradient where the input's code, including the zero point, was in range, and 0 where it was clamped.
    ///
    /// # Errors
    /// As for [`backward_clamped_into`](Self::backward_clamped_into).
    pub fn backward_clamped(&self, grad_output: &[f32], input: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
        let mut out = allocation::zeros(input.len())?;
        self.backward_clamped_into(grad_output, input, shape, &mut out)?;
        Ok(out)
    }

    /// [`backward_clamped`](Self::backward_clamped) into a caller's buffer of the same length.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if nothing was observed yet, [`Code::LENGTH`] for lengths that do not match.
    pub fn backward_clamped_into(
        &self,
        grad_output: &[f32],
        input: &[f32],
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<()> {
        self.backward_clamped_tiles(grad_output, input, shape, out)
    }

    /// [`backward_clamped_into`](Self::backward_clamped_into) for any arrays.
    pub(crate) fn backward_clamped_tiles(
        &self,
        mut grad_output: impl Input<Item = f32>,
        mut input: impl Input<Item = f32>,
        shape: &[usize],
        mut out: impl Output<Item = f32>,
    ) -> Result<()> {
        let len = input.len();
        validation::length("the gradient", grad_output.len(), len)?;
        validation::length("the output", out.len(), len)?;
        let prepared = self.prepared(shape, len)?;
        for range in tiles(len, out.tile()) {
            let (gradient, input) = (grad_output.read(range.clone()), input.read(range.clone()));
            out.write(range.clone(), |out| {
                out.copy_from_slice(gradient);
                if let Some(prepared) = &prepared {
                    clamp_gradient(prepared, input, range.start, out);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The parameters for a tensor of this shape, ready for its parts; `None` while quantizing is disabled.
    fn prepared(&self, shape: &[usize], len: usize) -> Result<Option<Prepared<'_>>> {
        if !self.quantizing {
            return validation::shape("the tensor", len, shape).map(|()| None);
        }
        Prepared::new(self.params()?, shape, len).map(Some)
    }

    fn params(&self) -> Result<&QuantParams> {
        self.params.as_ref().ok_or_else(|| {
            Error::new(Code::NO_DATA, "the fake quantization has no scale yet; calibrate it or let it observe a batch")
        })
    }

    /// Returns the integer parameters that give the same values, bit for bit: `dequantize(quantize(x)) = forward(x)`.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] if nothing was observed yet.
    pub fn to_params(&self) -> Result<QuantParams> {
        self.params().cloned()
    }

    /// The scale (of the first channel); 1 if nothing was observed yet.
    pub fn scale(&self) -> f32 {
        self.scales().first().copied().unwrap_or(1.0)
    }

    /// The zero point (of the first channel); 0 if nothing was observed yet.
    pub fn zero_point(&self) -> i32 {
        self.params.as_ref().map_or(0, |params| params.zero_point(0))
    }

    /// The scales of all channels; empty if nothing was observed yet.
    pub fn scales(&self) -> &[f32] {
        self.params.as_ref().map_or(&[], |params| &params.scales)
    }

    /// The zero points of all channels.
    pub fn zero_points(&self) -> &[i32] {
        self.params.as_ref().map_or(&[], |params| &params.zero_points)
    }

    /// The running ranges of all channels: minima and maxima.
    pub fn ranges(&self) -> (&[f32], &[f32]) {
        (&self.ranges.lows, &self.ranges.highs)
    }

    /// Whether there are scales.
    pub fn is_initialized(&self) -> bool {
        self.params.is_some()
    }

    /// The number of codes.
    pub fn num_levels(&self) -> usize {
        self.config.num_levels()
    }

    /// The configuration.
    pub fn config(&self) -> FakeQuantConfig {
        self.config
    }

    /// Which values share a scale.
    pub fn granularity(&self) -> QuantGranularity {
        self.granularity
    }

    /// Enables or disables observing. Disable it for the last steps of training to freeze the scales.
    pub fn enable_observer(&mut self, on: bool) {
        self.observing = on;
    }

    /// Enables or disables quantizing. Disable it for the first steps to let the ranges settle.
    pub fn enable_fake_quant(&mut self, on: bool) {
        self.quantizing = on;
    }

    /// Whether observing and quantizing are enabled.
    pub fn enabled(&self) -> (bool, bool) {
        (self.observing, self.quantizing)
    }

    /// Serializes the complete state; training resumed with [`from_bytes`](Self::from_bytes) gives identical results.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(TAG, VERSION);
        self.config.write(&mut out);
        self.granularity.write(&mut out);
        self.rule.write(&mut out);
        out.bool(self.observing).bool(self.quantizing);
        self.ranges.write(&mut out);
        out.bool(self.params.is_some());
        if let Some(params) = &self.params {
            out.f32s(&params.scales).i32s(&params.zero_points);
        }
        out.finish()
    }

    /// Reads a fake quantization serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::MAGIC`], [`Code::UNSUPPORTED`], [`Code::MALFORMED`] or [`Code::TRUNCATED`] for other bytes;
    /// [`Code::RANGE`], [`Code::ARGUMENT`] or [`Code::LENGTH`] for values that no fake quantization has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes, TAG, VERSION, "a FakeQuantize")?;
        let (config, granularity) = (FakeQuantConfig::read(&mut input)?, QuantGranularity::read(&mut input)?);
        let rule = RangeRule::read(&mut input)?;
        let mut fake = FakeQuantize::with_granularity(config, granularity)?.with_observer(rule)?;
        (fake.observing, fake.quantizing) = (input.bool()?, input.bool()?);
        fake.ranges = Ranges::read(&mut input)?;
        if input.bool()? {
            let (scales, zero_points) = (input.f32s()?, input.i32s()?);
            fake.set_parameters(scales, zero_points)?;
        }
        input.finish()?;
        Ok(fake)
    }

    /// The rule for observing ranges.
    pub fn observer(&self) -> RangeRule {
        self.rule
    }
}

/// Quantizes and dequantizes with given integer parameters, like [`FakeQuantize::forward`] but without state.
///
/// # Errors
/// As for [`QuantParams::layout`]; [`Code::LENGTH`]; [`Code::NON_FINITE`] with the index of the first NaN or infinite
/// value.
pub fn fake_quantize_with_params_into(
    input: &[f32],
    shape: &[usize],
    params: &QuantParams,
    out: &mut [f32],
) -> Result<()> {
    let prepared = Prepared::new(params, shape, input.len())?;
    validation::length("the output", out.len(), input.len())?;
    prepared.fake(input, 0, out)
}

/// Multiplies the gradient by 0 where the input, from index `start` of its tensor, was clamped.
fn clamp_gradient(prepared: &Prepared<'_>, input: &[f32], start: usize, gradient: &mut [f32]) {
    // PyTorch multiplies by a mask, so clamped negative gradients become -0.0.
    let mask = |passes: bool| if passes { 1.0 } else { 0.0 };
    let run = |input: &[f32], affine: Affine, out: &mut [f32]| {
        for (gradient, &x) in out.iter_mut().zip(input) {
            *gradient *= mask(affine.passes(x));
        }
    };
    prepared.zip(input, start, gradient, run, |&x, affine, gradient| *gradient *= mask(affine.passes(x)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiling::TILE;
    use crate::tiling::tests::Shared;
    use std::cell::RefCell;

    #[test]
    fn the_output_may_be_one_of_the_inputs() {
        let len = 2 * TILE + 5;
        let values: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut fake = FakeQuantize::new(FakeQuantConfig::q8_symmetric()).unwrap();
        fake.calibrate(&[-0.5, 0.5], &[2]).unwrap();
        let array = RefCell::new(values.clone());
        // Both start at other elements of the same memory.
        fake.forward_tiles(Shared::new(&array, 0, len - 1), &[len - 1], Shared::new(&array, 1, len - 1)).unwrap();
        assert_eq!(array.borrow()[1..], fake.forward(&values[..len - 1], &[len - 1]).unwrap());
        *array.borrow_mut() = values.clone();
        let shared = |start| Shared::new(&array, start, len - 1);
        fake.backward_clamped_tiles(shared(1), shared(0), &[len - 1], shared(1)).unwrap();
        let expected = fake.backward_clamped(&values[1..], &values[..len - 1], &[len - 1]).unwrap();
        assert_eq!(array.borrow()[1..], expected);
    }
}
