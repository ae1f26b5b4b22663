//! LSQ and LSQ+: scales and zero points that are trained like weights. PACT: trained clipping levels.

use super::config::FakeQuantConfig;
use crate::affine::kernel::Affine;
use crate::affine::{Prepared, QuantGranularity, QuantMode, QuantParams, for_each_range};
use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::serialization::{Reader, Writer};
use crate::validation;

/// Fake quantization whose scales (step sizes) and zero points have gradients.
///
/// With `v = x / s` and `q = round(v) + z`:
///
/// ```text
/// dy/dx = 1 where q is in qmin..=qmax, else 0
/// dy/ds = round(v) - v  inside;   qmin - z  below;   qmax - z  above
/// dy/dz = 0             inside;   -s        outside
/// ```
///
/// Each sum over the `n` values of the tensor (or channel) is multiplied by `1 / sqrt(n qmax)`, which balances the
/// updates of scales and weights. The zero point is learned as a float and rounded where it is used.
///
/// Sources: LSQ (arXiv 1902.08153), LSQ+ (arXiv 2004.09576) in the parametrization of PyTorch's
/// `_fake_quantize_learnable_per_tensor_affine`. The gradients are equal to PyTorch's except for the rounding of sums.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedFakeQuantize {
    config: FakeQuantConfig,
    granularity: QuantGranularity,
    /// The scale of every channel, to be trained.
    pub scales: Vec<f32>,
    /// The zero point of every channel, to be trained; always 0 in plain LSQ.
    pub zero_points: Vec<f32>,
}

/// The gradients returned by [`LearnedFakeQuantize::backward`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LearnedGradients {
    /// The gradient of every input value.
    pub input: Vec<f32>,
    /// The gradient of every scale.
    pub scales: Vec<f64>,
    /// The gradient of every zero point.
    pub zero_points: Vec<f64>,
}

impl LearnedFakeQuantize {
    /// Initializes scales from the values: `s = 2 mean|x| / sqrt(qmax)` as in LSQ if the codes are symmetric; otherwise
    /// scales and zero points from their range.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if the number of values does not match `shape`, [`Code::NO_DATA`], [`Code::NON_FINITE`], and as
    /// for [`FakeQuantConfig::scheme`] and [`QuantGranularity::layout`].
    pub fn new(
        config: FakeQuantConfig,
        granularity: QuantGranularity,
        values: &[f32],
        shape: &[usize],
    ) -> Result<Self> {
        let (scheme, layout) = (config.scheme()?, granularity.layout(shape)?);
        validation::shape("the tensor", values.len(), shape)?;
        let (mut scales, mut zero_points) = (Vec::new(), Vec::new());
        for_each_range(values, &layout, |_, low, high| {
            let (scale, zero_point) = scheme.parameters(low, high)?;
            scales.push(scale);
            zero_points.push(zero_point as f32);
            Ok(())
        })?;
        if config.mode == QuantMode::Symmetric {
            let mut sums = vec![(0.0f64, 0usize); scales.len()];
            for run in layout.runs(0..layout.len()) {
                for (i, &x) in values[run.range].iter().enumerate() {
                    let (sum, count) = &mut sums[run.group + if run.stepped { i } else { 0 }];
                    *sum += f64::from(x.abs());
                    *count += 1;
                }
            }
            let positive = f64::from(config.range.qmax - config.range.middle()).max(1.0);
            for (scale, (sum, count)) in scales.iter_mut().zip(sums) {
                *scale = ((2.0 * sum / count as f64 / positive.sqrt()) as f32).max(f32::MIN_POSITIVE);
            }
        }
        Ok(LearnedFakeQuantize { config, granularity, scales, zero_points })
    }

    /// Uses the given scales and zero points, one of each per channel.
    ///
    /// # Errors
    /// As for [`FakeQuantConfig::scheme`]; [`Code::LENGTH`], [`Code::RANGE`] and [`Code::NON_FINITE`] for invalid
    /// parameters.
    pub fn with_parameters(
        config: FakeQuantConfig,
        granularity: QuantGranularity,
        scales: Vec<f32>,
        zero_points: Vec<f32>,
    ) -> Result<Self> {
        config.scheme()?;
        let learned = LearnedFakeQuantize { config, granularity, scales, zero_points };
        learned.to_params().map(|_| learned)
    }

    /// The configuration.
    pub fn config(&self) -> FakeQuantConfig {
        self.config
    }

    /// Clamps scales to positive values and zero points to the codes after an optimizer step.
    ///
    /// A scale that is zero or negative becomes `f32::EPSILON`, as in PyTorch's `_LearnableFakeQuantize`. NaN is kept:
    /// training has diverged, and [`to_params`](Self::to_params) fails.
    pub fn clamp_parameters(&mut self) {
        for scale in &mut self.scales {
            if *scale <= 0.0 {
                *scale = f32::EPSILON;
            } else if *scale < f32::MIN_POSITIVE {
                *scale = f32::MIN_POSITIVE;
            }
        }
        let (low, high) = (self.config.range.qmin as f32, self.config.range.qmax as f32);
        for zero_point in &mut self.zero_points {
            *zero_point = zero_point.clamp(low, high);
        }
    }

    /// Uses parameters changed by an optimizer, [clamped](Self::clamp_parameters), per tensor or per channel of the
    /// first axis.
    ///
    /// # Errors
    /// As for [`FakeQuantConfig::scheme`]; [`Code::RANGE`] for a NaN or infinite scale, [`Code::NON_FINITE`] for such a
    /// zero point.
    pub fn clamped(config: FakeQuantConfig, scales: Vec<f32>, zero_points: Vec<f32>) -> Result<Self> {
        config.scheme()?;
        let granularity =
            if scales.len() == 1 { QuantGranularity::PerTensor } else { QuantGranularity::PerChannel { axis: 0 } };
        let mut learned = LearnedFakeQuantize { config, granularity, scales, zero_points };
        learned.clamp_parameters();
        learned.to_params().map(|_| learned)
    }

    /// Serializes the complete state; training resumed with [`from_bytes`](Self::from_bytes) gives identical results.
    pub fn to_bytes(&self) -> Vec<u8> {
        learned_bytes(self.config, self.granularity, &self.scales, &self.zero_points)
    }

    /// Reads a fake quantization serialized by [`to_bytes`](Self::to_bytes). Scales that are not positive are accepted,
    /// because they may have been saved between an optimizer step and [`clamp_parameters`](Self::clamp_parameters).
    ///
    /// # Errors
    /// [`Code::MAGIC`], [`Code::UNSUPPORTED`], [`Code::MALFORMED`] or [`Code::TRUNCATED`] for other bytes, and as for
    /// [`FakeQuantConfig::scheme`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes, *b"QPlq", 1, "a LearnedFakeQuantize")?;
        let (config, granularity) = (FakeQuantConfig::read(&mut input)?, QuantGranularity::read(&mut input)?);
        let (scales, zero_points) = (input.f32s()?, input.f32s()?);
        let finite = scales.iter().chain(&zero_points).all(|x| x.is_finite());
        if scales.len() != zero_points.len() || !finite {
            let (steps, zeros) = (scales.len(), zero_points.len());
            return Err(input.malformed(format!("{steps} scales and {zeros} zero points")));
        }
        input.finish()?;
        Ok(LearnedFakeQuantize { config, granularity, scales, zero_points })
    }

    /// Which values share a scale.
    pub fn granularity(&self) -> QuantGranularity {
        self.granularity
    }

    /// Returns the integer parameters that give the same values, bit for bit; zero points are rounded half to even and
    /// clamped.
    ///
    /// # Errors
    /// [`Code::NON_FINITE`] for a NaN or infinite zero point, and as for [`QuantParams::check`].
    pub fn to_params(&self) -> Result<QuantParams> {
        let FakeQuantConfig { bits, mode, range } = self.config;
        validation::finite(&self.zero_points, "zero point")?;
        let rounded = |z: &f32| (z.round_ties_even() as i32).clamp(range.qmin, range.qmax);
        let params = QuantParams {
            scales: self.scales.clone(),
            zero_points: self.zero_points.iter().map(rounded).collect(),
            granularity: self.granularity,
            mode,
            bits,
            range,
        };
        params.check().map(|()| params)
    }

    /// Returns the values that a quantized network would compute with.
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
    /// As for [`to_params`](Self::to_params); [`Code::LENGTH`], [`Code::NON_FINITE`].
    pub fn forward_into(&self, input: &[f32], shape: &[usize], out: &mut [f32]) -> Result<()> {
        super::fake::fake_quantize_with_params_into(input, shape, &self.to_params()?, out)
    }

    /// Returns the gradients of the input, the scales and the zero points.
    ///
    /// # Errors
    /// As for [`backward_into`](Self::backward_into).
    pub fn backward(&self, grad_output: &[f32], input: &[f32], shape: &[usize]) -> Result<LearnedGradients> {
        let groups = self.scales.len();
        let mut gradients = LearnedGradients {
            input: allocation::zeros(input.len())?,
            scales: allocation::zeros(groups)?,
            zero_points: allocation::zeros(groups)?,
        };
        self.backward_into(grad_output, input, shape, &mut gradients)?;
        Ok(gradients)
    }

    /// [`backward`](Self::backward) into caller's buffers, which are overwritten.
    ///
    /// # Errors
    /// As for [`to_params`](Self::to_params); [`Code::LENGTH`] for lengths that do not match.
    pub fn backward_into(
        &self,
        grad_output: &[f32],
        input: &[f32],
        shape: &[usize],
        gradients: &mut LearnedGradients,
    ) -> Result<()> {
        let params = self.to_params()?;
        let layout = params.layout(shape)?;
        validation::length("the gradient", grad_output.len(), input.len())?;
        validation::length("the gradient of the input", gradients.input.len(), input.len())?;
        validation::length("the gradient of the scales", gradients.scales.len(), self.scales.len())?;
        validation::length("the gradient of the zero points", gradients.zero_points.len(), self.scales.len())?;
        let prepared = Prepared::new(&params, shape, input.len())?;
        gradients.input.copy_from_slice(grad_output);
        let mut sums = vec![Sums::default(); self.scales.len()];
        for run in layout.runs(0..layout.len()) {
            let (input, out) = (&input[run.range.clone()], &mut gradients.input[run.range]);
            for (i, (&x, gradient)) in input.iter().zip(out).enumerate() {
                let group = run.group + if run.stepped { i } else { 0 };
                *gradient = sums[group].add(prepared.affine(group), x, *gradient);
            }
        }
        let positive = f64::from(self.config.range.qmax).max(1.0);
        for ((scale, zero_point), sums) in gradients.scales.iter_mut().zip(&mut gradients.zero_points).zip(sums) {
            let factor = 1.0 / (sums.count.max(1.0) * positive).sqrt();
            (*scale, *zero_point) = (sums.scale * factor, sums.zero_point * factor);
        }
        Ok(())
    }
}

/// Serializes parameters that an optimizer may have moved out of range.
pub(crate) fn learned_bytes(
    config: FakeQuantConfig,
    granularity: QuantGranularity,
    scales: &[f32],
    zero_points: &[f32],
) -> Vec<u8> {
    let mut out = Writer::new(*b"QPlq", 1);
    config.write(&mut out);
    granularity.write(&mut out);
    out.f32s(scales).f32s(zero_points).finish()
}

/// The sums of one channel.
#[derive(Clone, Copy, Default)]
struct Sums {
    scale: f64,
    zero_point: f64,
    count: f64,
}

impl Sums {
    /// Adds the contribution of one value and returns the gradient of that value.
    #[inline(always)]
    fn add(&mut self, affine: Affine, x: f32, gradient: f32) -> f32 {
        self.count += 1.0;
        let (low, high) = affine.bounds;
        if affine.passes(x) {
            self.scale += f64::from(gradient) * f64::from((affine.fake(x) - x) * affine.inverse);
            return gradient;
        }
        let bound = if x * affine.inverse < low { low } else { high };
        self.scale += f64::from(gradient) * f64::from(bound);
        self.zero_point -= f64::from(gradient) * f64::from(affine.scale);
        // As in PyTorch, which multiplies by a mask: a negative gradient becomes -0.0.
        gradient * 0.0
    }
}

/// PACT: a trained clipping level for activations, with unsigned codes below it.
///
/// ```text
/// y  = round_half_even(clip(x, 0, a) (n / a)) (a / n),   n = 2^bits - 1
/// dx = dy where 0 <= x < a, else 0
/// da = sum of dy where x >= a, plus 2 decay a
/// ```
///
/// Source: arXiv 1805.06085.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pact {
    /// The clipping level, to be trained.
    pub alpha: f32,
    bits: u8,
    decay: f32,
}

impl Pact {
    /// Creates a PACT clip with an initial level, the number of bits, and the weight of `alpha^2` in the loss.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `bits` is 2..=8, the level is positive and `decay` is not negative.
    pub fn new(alpha: f32, bits: u8, decay: f32) -> Result<Self> {
        validation::within("bits", bits, 2, 8)?;
        validation::within("decay", decay, 0.0, f32::MAX)?;
        let pact = Pact { alpha, bits, decay };
        pact.factors().map(|_| pact)
    }

    /// Serializes the state; [`from_bytes`](Self::from_bytes) reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        pact_bytes(f64::from(self.alpha), self.bits, f64::from(self.decay))
    }

    /// Reads a PACT clip serialized by [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// [`Code::MAGIC`], [`Code::UNSUPPORTED`], [`Code::MALFORMED`] or [`Code::TRUNCATED`] for other bytes;
    /// [`Code::RANGE`] for values that [`new`](Self::new) rejects.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (alpha, bits, decay) = pact_parts(bytes)?;
        Self::new(alpha as f32, bits, decay as f32)
    }

    /// `n / alpha` and `alpha / n`.
    fn factors(&self) -> Result<(f32, f32)> {
        let levels = ((1u32 << self.bits) - 1) as f32;
        let (up, down) = (levels / self.alpha, self.alpha / levels);
        if self.alpha > 0.0 && up.is_finite() && down >= f32::MIN_POSITIVE && down.is_finite() {
            return Ok((up, down));
        }
        let message =
            format!("alpha is {}, and must be positive and large enough to be divided by {levels}", self.alpha);
        Err(Error::new(Code::RANGE, message).with("alpha", self.alpha))
    }

    /// Returns the clipped and quantized values.
    ///
    /// # Errors
    /// As for [`forward_into`](Self::forward_into).
    pub fn forward(&self, input: &[f32]) -> Result<Vec<f32>> {
        let mut out = allocation::zeros(input.len())?;
        self.forward_into(input, &mut out)?;
        Ok(out)
    }

    /// [`forward`](Self::forward) into a caller's buffer of the same length.
    ///
    /// # Errors
    /// [`Code::LENGTH`], [`Code::NON_FINITE`] with the index of the first NaN or infinite value, [`Code::RANGE`] if the
    /// level is no longer positive.
    pub fn forward_into(&self, input: &[f32], out: &mut [f32]) -> Result<()> {
        let (up, down) = self.factors()?;
        validation::length("the output", out.len(), input.len())?;
        validation::finite(input, "value")?;
        for (out, x) in out.iter_mut().zip(input) {
            *out = (x.clamp(0.0, self.alpha) * up).round_ties_even() * down;
        }
        Ok(())
    }

    /// Returns the gradients of the input and of the clipping level.
    ///
    /// # Errors
    /// As for [`backward_into`](Self::backward_into).
    pub fn backward(&self, grad_output: &[f32], input: &[f32]) -> Result<(Vec<f32>, f64)> {
        let mut out = allocation::zeros(input.len())?;
        let alpha = self.backward_into(grad_output, input, &mut out)?;
        Ok((out, alpha))
    }

    /// [`backward`](Self::backward) into a caller's buffer of the same length; returns the gradient of the level.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for different lengths, [`Code::NON_FINITE`] for a NaN or infinite input.
    pub fn backward_into(&self, grad_output: &[f32], input: &[f32], out: &mut [f32]) -> Result<f64> {
        validation::length("the gradient", grad_output.len(), input.len())?;
        validation::length("the output", out.len(), input.len())?;
        validation::finite(input, "value")?;
        let mut alpha = 2.0 * f64::from(self.decay) * f64::from(self.alpha);
        for ((out, &gradient), &x) in out.iter_mut().zip(grad_output).zip(input) {
            alpha += if x >= self.alpha { f64::from(gradient) } else { 0.0 };
            *out = if x >= 0.0 && x < self.alpha { gradient } else { 0.0 };
        }
        Ok(alpha)
    }
}

/// Serializes the state in double precision, in which JavaScript trains it.
pub(crate) fn pact_bytes(alpha: f64, bits: u8, decay: f64) -> Vec<u8> {
    Writer::new(*b"QPpc", 1).f64(alpha).u8(bits).f64(decay).finish()
}

/// Reads level, bits and decay serialized by [`pact_bytes`].
pub(crate) fn pact_parts(bytes: &[u8]) -> Result<(f64, u8, f64)> {
    let mut input = Reader::new(bytes, *b"QPpc", 1, "a Pact")?;
    let (alpha, bits, decay) = (input.f64()?, input.u8()?, input.f64()?);
    input.finish()?;
    Pact::new(alpha as f32, bits, decay as f32).map(|_| (alpha, bits, decay))
}
