//! Fake quantization: the values a quantized network would compute with, and gradients that pass through.

use super::config::FakeQuantConfig;
use super::observer::{RangeRule, Ranges};
use crate::affine::kernel::Affine;
use crate::affine::{GroupRanges, Prepared, QuantGranularity, QuantMode, QuantParams};
use crate::check;
use crate::error::{Code, Error, Result};
use crate::wire::{Reader, Writer};

/// Quantizes and dequantizes in one step, with a range it learns by watching.
///
/// ```text
/// forward    y  = s (clamp(round_half_even(x (1 / s)) + z, qmin, qmax) - z)
/// backward   dx = dy                                            straight through
/// clamped    dx = dy where round_half_even(x (1 / s)) + z is one of the codes, else 0
/// ```
///
/// `forward` and `backward_clamped` equal PyTorch's `fake_quantize_per_tensor_affine` and `_per_channel_affine` to the
/// bit. As in PyTorch, watching and quantizing are two switches: train with both, then stop watching, then convert with
/// [`to_params`](Self::to_params), which changes no value.
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
    /// One scale for the tensor; it watches with a moving average of momentum 0.01, and quantizes.
    ///
    /// # Errors
    /// Those of [`FakeQuantConfig::scheme`].
    pub fn new(config: FakeQuantConfig) -> Result<Self> {
        Self::with_granularity(config, QuantGranularity::PerTensor)
    }

    /// One scale per channel on `axis`, or for whatever a granularity says.
    ///
    /// # Errors
    /// Those of [`FakeQuantConfig::scheme`].
    pub fn with_granularity(config: FakeQuantConfig, granularity: QuantGranularity) -> Result<Self> {
        config.scheme()?;
        let (rule, ranges) = (RangeRule::default(), Ranges::default());
        Ok(FakeQuantize { config, granularity, rule, ranges, params: None, observing: true, quantizing: true })
    }

    /// The same with another way to watch.
    ///
    /// # Errors
    /// [`Code::RANGE`] for a momentum that is none.
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

    /// [`new`](Self::new) of a configuration that is known to be good.
    fn of(config: FakeQuantConfig) -> Self {
        let (granularity, rule, ranges) = (QuantGranularity::PerTensor, RangeRule::default(), Ranges::default());
        FakeQuantize { config, granularity, rule, ranges, params: None, observing: true, quantizing: true }
    }

    /// Forgets what was seen, and takes the range of `data` alone.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn calibrate(&mut self, data: &[f32], shape: &[usize]) -> Result<()> {
        let mut fresh = FakeQuantize { ranges: Ranges::default(), ..self.clone() };
        fresh.observe(data, shape)?;
        *self = fresh;
        Ok(())
    }

    /// Takes a batch's range in, whatever the switches say.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for values that are not as many as `shape` says or another number of channels than before,
    /// [`Code::NON_FINITE`] with the index of a value that is no number, [`Code::NO_DATA`] for an empty batch. After an
    /// error everything is as it was.
    pub fn observe(&mut self, data: &[f32], shape: &[usize]) -> Result<()> {
        check::shape("the batch", data.len(), shape)?;
        let mut batch = GroupRanges::new(self.granularity.layout(shape)?);
        batch.add(data)?;
        self.observe_ranges(&batch)
    }

    /// [`observe`](Self::observe) of a batch that came in parts.
    pub(crate) fn observe_ranges(&mut self, batch: &GroupRanges) -> Result<()> {
        let mut ranges = self.ranges.clone();
        ranges.observe(batch, self.rule)?;
        let scheme = self.config.scheme()?;
        let bounds = ranges.lows.iter().zip(&ranges.highs);
        let pairs = bounds.map(|(&low, &high)| scheme.parameters(low, high)).collect::<Result<Vec<_>>>()?;
        let (scales, zero_points): (Vec<f32>, Vec<i32>) = pairs.into_iter().unzip();
        self.set_parameters(scales, zero_points)?;
        self.ranges = ranges;
        Ok(())
    }

    /// Sets scales and zero points from elsewhere, one of each per channel.
    ///
    /// # Errors
    /// Those of [`QuantParams::check`].
    pub fn set_parameters(&mut self, scales: Vec<f32>, zero_points: Vec<i32>) -> Result<()> {
        let FakeQuantConfig { bits, symmetric, .. } = self.config;
        let mode = if symmetric { QuantMode::Symmetric } else { QuantMode::Asymmetric };
        let (granularity, range) = (self.granularity, self.config.range());
        let params = QuantParams { scales, zero_points, granularity, mode, bits, range };
        params.check()?;
        self.params = Some(params);
        Ok(())
    }

    /// The values a quantized network would see; the input itself while quantizing is switched off.
    ///
    /// # Errors
    /// As [`forward_into`](Self::forward_into).
    pub fn forward(&self, input: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
        let mut out = check::zeros(input.len())?;
        self.forward_into(input, shape, &mut out)?;
        Ok(out)
    }

    /// [`forward`](Self::forward) into a buffer of as many values.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] before anything was observed, [`Code::LENGTH`] for input, shape, channels and output that do
    /// not fit each other, [`Code::NON_FINITE`] with the index of a value that is no number.
    pub fn forward_into(&self, input: &[f32], shape: &[usize], out: &mut [f32]) -> Result<()> {
        check::length("the output", out.len(), input.len())?;
        forward_part(self.prepared(shape, input.len())?.as_ref(), input, 0, out)
    }

    /// A step of training: watches if watching is on, then [`forward`](Self::forward).
    ///
    /// # Errors
    /// Those of [`observe`](Self::observe) and [`forward_into`](Self::forward_into).
    pub fn forward_with_calibration(&mut self, input: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
        let mut out = check::zeros(input.len())?;
        self.forward_with_calibration_into(input, shape, &mut out)?;
        Ok(out)
    }

    /// [`forward_with_calibration`](Self::forward_with_calibration) into a buffer of as many values.
    ///
    /// # Errors
    /// Those of [`observe`](Self::observe) and [`forward_into`](Self::forward_into).
    pub fn forward_with_calibration_into(&mut self, input: &[f32], shape: &[usize], out: &mut [f32]) -> Result<()> {
        if self.observing {
            self.observe(input, shape)?;
        }
        self.forward_into(input, shape, out)
    }

    /// The straight-through estimator: the gradient as it is.
    pub fn backward(&self, grad_output: &[f32]) -> Vec<f32> {
        super::ste_backward(grad_output)
    }

    /// The gradient where the input's code was one of the codes, zero point included, and 0 where it was clamped.
    ///
    /// # Errors
    /// As [`backward_clamped_into`](Self::backward_clamped_into).
    pub fn backward_clamped(&self, grad_output: &[f32], input: &[f32], shape: &[usize]) -> Result<Vec<f32>> {
        let mut out = check::zeros(input.len())?;
        self.backward_clamped_into(grad_output, input, shape, &mut out)?;
        Ok(out)
    }

    /// [`backward_clamped`](Self::backward_clamped) into a buffer of as many values.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] before anything was observed, [`Code::LENGTH`] for parts that do not fit each other.
    pub fn backward_clamped_into(
        &self,
        grad_output: &[f32],
        input: &[f32],
        shape: &[usize],
        out: &mut [f32],
    ) -> Result<()> {
        check::length("the gradient", grad_output.len(), input.len())?;
        check::length("the output", out.len(), input.len())?;
        let prepared = self.prepared(shape, input.len())?;
        backward_part(prepared.as_ref(), grad_output, input, 0, out);
        Ok(())
    }

    /// The parameters for a tensor of this shape, ready for its parts; none while quantizing is switched off.
    pub(crate) fn prepared(&self, shape: &[usize], len: usize) -> Result<Option<Prepared<'_>>> {
        if !self.quantizing {
            return check::shape("the tensor", len, shape).map(|()| None);
        }
        Prepared::new(self.params()?, shape, len).map(Some)
    }

    fn params(&self) -> Result<&QuantParams> {
        self.params.as_ref().ok_or_else(|| {
            Error::new(Code::NO_DATA, "the fake quantization has no scale yet: calibrate it, or let it observe a batch")
        })
    }

    /// The integer parameters that give the same values, bit for bit: `dequantize(quantize(x)) = forward(x)`.
    ///
    /// # Errors
    /// [`Code::NO_DATA`] before anything was observed.
    pub fn to_params(&self) -> Result<QuantParams> {
        self.params().cloned()
    }

    /// The scale (of the first channel); 1 before anything was observed.
    pub fn scale(&self) -> f32 {
        self.scales().first().copied().unwrap_or(1.0)
    }

    /// The zero point (of the first channel); 0 before anything was observed.
    pub fn zero_point(&self) -> i32 {
        self.params.as_ref().map_or(0, |params| params.zero_point(0))
    }

    /// The scale of every channel; none before anything was observed.
    pub fn scales(&self) -> &[f32] {
        self.params.as_ref().map_or(&[], |params| &params.scales)
    }

    /// The zero point of every channel.
    pub fn zero_points(&self) -> &[i32] {
        self.params.as_ref().map_or(&[], |params| &params.zero_points)
    }

    /// The running range of every channel: the smallest values and the largest.
    pub fn ranges(&self) -> (&[f32], &[f32]) {
        (&self.ranges.lows, &self.ranges.highs)
    }

    /// Whether there is a scale.
    pub fn is_initialized(&self) -> bool {
        self.params.is_some()
    }

    /// How many codes there are.
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

    /// Switches watching on or off: off for the last steps of training, so that scales stand still.
    pub fn enable_observer(&mut self, on: bool) {
        self.observing = on;
    }

    /// Switches quantizing on or off: off for the first steps, so that ranges settle.
    pub fn enable_fake_quant(&mut self, on: bool) {
        self.quantizing = on;
    }

    /// Whether it watches, and whether it quantizes.
    pub fn enabled(&self) -> (bool, bool) {
        (self.observing, self.quantizing)
    }

    /// Everything, as bytes; training resumed with [`from_bytes`](Self::from_bytes) gives identical results.
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

    /// The fake quantization that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Code::MAGIC`], [`Code::UNSUPPORTED`], [`Code::MALFORMED`] or [`Code::TRUNCATED`] for any other bytes;
    /// [`Code::RANGE`], [`Code::ARGUMENT`] or [`Code::LENGTH`] for numbers that no fake quantization has.
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

    /// How it watches.
    pub fn observer(&self) -> RangeRule {
        self.rule
    }
}

/// Quantizes and dequantizes with integer parameters: what [`FakeQuantize::forward`] does, without its state.
///
/// # Errors
/// Those of [`QuantParams::layout`], [`Code::LENGTH`], and [`Code::NON_FINITE`] with the index of a value that is no
/// number.
pub fn fake_quantize_with_params_into(
    input: &[f32],
    shape: &[usize],
    params: &QuantParams,
    out: &mut [f32],
) -> Result<()> {
    let prepared = Prepared::new(params, shape, input.len())?;
    check::length("the output", out.len(), input.len())?;
    prepared.fake(input, 0, out)
}

/// [`FakeQuantize::forward_into`] for the part of a tensor from `start` on.
pub(crate) fn forward_part(
    prepared: Option<&Prepared<'_>>,
    input: &[f32],
    start: usize,
    out: &mut [f32],
) -> Result<()> {
    match prepared {
        Some(prepared) => prepared.fake(input, start, out),
        None => {
            out.copy_from_slice(input);
            Ok(())
        }
    }
}

/// [`FakeQuantize::backward_clamped_into`] for the part of a tensor from `start` on.
pub(crate) fn backward_part(
    prepared: Option<&Prepared<'_>>,
    gradient: &[f32],
    input: &[f32],
    start: usize,
    out: &mut [f32],
) {
    out.copy_from_slice(gradient);
    let Some(prepared) = prepared else { return };
    // PyTorch multiplies by its mask, so that what is stopped keeps its sign: -0.0.
    let mask = |passes: bool| if passes { 1.0 } else { 0.0 };
    let run = |input: &[f32], affine: Affine, out: &mut [f32]| {
        for (gradient, &x) in out.iter_mut().zip(input) {
            *gradient *= mask(affine.passes(x));
        }
    };
    prepared.zip(input, start, out, run, |&x, affine, gradient| *gradient *= mask(affine.passes(x)));
}
