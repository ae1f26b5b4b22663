//! Perplexity and divergence, with the definitions of `llama-perplexity`, and the rows of its base file.

use super::math::exp;
use crate::error::{Code, Error, Result};
use serde::Serialize;

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error; 0 if the variance is not positive.
    pub uncertainty: f64,
}

impl Estimate {
    fn of(sum: f64, squares: f64, count: u64) -> Estimate {
        let n = count as f64;
        let value = sum / n;
        let variance = squares / n - value * value;
        let uncertainty = if variance > 0.0 && count > 1 { (variance / (n - 1.0)).sqrt() } else { 0.0 };
        Estimate { value, uncertainty }
    }

    /// The estimate of `e` to the power of this.
    fn exp(self) -> Estimate {
        let value = libm::exp(self.value);
        Estimate { value, uncertainty: value * self.uncertainty }
    }
}

fn covariance(sum_a: f64, sum_b: f64, products: f64, count: u64) -> f64 {
    if count < 10 {
        return 0.0;
    }
    let n = count as f64;
    (products / n - sum_a / n * (sum_b / n)) / (n - 1.0)
}

/// The largest logit, the index of its first occurrence, and the logarithm of the sum of the exponentials of the others'
/// distances to it.
fn normalizer(logits: &[f32]) -> (f32, usize, f64) {
    let mut best = (logits.first().copied().unwrap_or(0.0), 0);
    for (index, logit) in logits.iter().enumerate() {
        if *logit > best.0 {
            best = (*logit, index);
        }
    }
    let sum: f64 = logits.iter().fold(0.0, |sum, logit| sum + f64::from(exp(logit - best.0)));
    (best.0, best.1, libm::log(sum))
}

/// The perplexity of tokens and its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PerplexityReport {
    /// The number of tokens.
    pub tokens: u64,
    /// The mean negative log likelihood in nats: the logarithm of the perplexity.
    pub loss: Estimate,
    /// The perplexity.
    pub perplexity: Estimate,
}

/// The perplexity of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Perplexity {
    sum: f64,
    squares: f64,
    count: u64,
}

impl Perplexity {
    /// Adds a token and the logits that predicted it.
    ///
    /// # Errors
    /// [`Code::RANGE`] if there is no logit for the token, [`Code::NON_FINITE`] if its probability is 0 or NaN.
    pub fn add(&mut self, logits: &[f32], token: u32) -> Result<()> {
        let logit = logit_of(logits, token)?;
        let (max, _, log_sum) = normalizer(logits);
        let loss = finite(-(f64::from(logit - max) - log_sum))?;
        self.sum += loss;
        self.squares += loss * loss;
        self.count += 1;
        Ok(())
    }

    /// The number of tokens.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean negative log likelihood; `None` without tokens.
    pub fn log(&self) -> Option<Estimate> {
        (self.count > 0).then(|| Estimate::of(self.sum, self.squares, self.count))
    }

    /// The perplexity; `None` without tokens.
    pub fn perplexity(&self) -> Option<Estimate> {
        self.log().map(Estimate::exp)
    }

    /// All of it; `None` without tokens.
    pub fn report(&self) -> Option<PerplexityReport> {
        let loss = self.log()?;
        Some(PerplexityReport { tokens: self.count, loss, perplexity: loss.exp() })
    }
}

fn logit_of(logits: &[f32], token: u32) -> Result<f32> {
    logits.get(token as usize).copied().ok_or_else(|| {
        let count = logits.len();
        Error::new(Code::RANGE, format!("token {token} is not one of the {count} tokens")).with("token", token)
    })
}

/// Refuses the loss of a model whose logits are NaN or infinite.
fn finite(loss: f64) -> Result<f64> {
    if loss.is_finite() {
        return Ok(loss);
    }
    Err(Error::new(Code::NON_FINITE, "the logits of the model are NaN or infinite"))
}

/// The size in bytes of a row of a base file.
pub fn base_row_bytes(vocabulary: usize) -> usize {
    2 * (vocabulary.next_multiple_of(2) + 4)
}

/// Appends a row of a base file: log probabilities as a scale, the smallest one and codes of 16 bits. Probabilities below
/// e^-16 of the largest get the smallest code.
pub fn write_base_row(logits: &[f32], out: &mut Vec<u8>) {
    let (max, _, log_sum) = normalizer(logits);
    let log_sum = log_sum as f32;
    let min = logits.iter().copied().fold(f32::INFINITY, f32::min).max(max - 16.0);
    let scale = (max - min) / 65535.0;
    out.extend(scale.to_le_bytes());
    out.extend((min - max - log_sum).to_le_bytes());
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    for logit in logits {
        let code = if *logit > min { crate::round::nearest_int(inverse * (logit - min)) } else { 0 };
        out.extend((code as u16).to_le_bytes());
    }
    if !logits.len().is_multiple_of(2) {
        out.extend([0; 2]);
    }
}

/// The divergence of a model from a base model, token by token.
#[derive(Clone, Debug, Default)]
pub struct Divergence {
    losses: [f64; 2],
    base_losses: [f64; 2],
    products: f64,
    divergences: [f64; 2],
    differences: [f64; 3],
    same_top: u64,
    each_divergence: Vec<f32>,
    each_difference: Vec<f32>,
}

/// A percentile of values of all tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentile {
    /// The percentage of tokens with at most that value: 100 is the maximum, 50 the median, 0 the minimum.
    pub percent: f64,
    /// The value.
    pub value: f64,
}

/// What `llama-perplexity --kl-divergence` prints. Differences of probabilities are fractions, not percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DivergenceReport {
    /// The number of tokens.
    pub tokens: u64,
    /// The perplexity of the model.
    pub perplexity: Estimate,
    /// The perplexity of the base model.
    pub base_perplexity: Estimate,
    /// The correlation of the logarithms of both.
    pub correlation: f64,
    /// The logarithm of their ratio.
    pub log_ratio: Estimate,
    /// Their ratio.
    pub ratio: Estimate,
    /// Their difference.
    pub difference: Estimate,
    /// The mean Kullback-Leibler divergence, in nats.
    pub divergence: Estimate,
    /// Its percentiles, from the maximum to the minimum.
    pub divergence_percentiles: [Percentile; 11],
    /// The mean difference of the probabilities of the tokens that follow.
    pub probability_difference: Estimate,
    /// Its percentiles, from the maximum to the minimum.
    pub probability_difference_percentiles: [Percentile; 13],
    /// The root mean square of that difference.
    pub rms_probability_difference: Estimate,
    /// The share of tokens for which both models have the same most likely token.
    pub same_top: Estimate,
}

impl Divergence {
    /// Adds a token with the base file's row and the logits that predicted it.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for a row of another size, [`Code::RANGE`] if there is no logit for the token.
    pub fn add(&mut self, base: &[u8], logits: &[f32], token: u32) -> Result<()> {
        crate::validation::length("the row of the base", base.len(), base_row_bytes(logits.len()))?;
        let logit = logit_of(logits, token)?;
        let number = |at: usize| f32::from_le_bytes([base[at], base[at + 1], base[at + 2], base[at + 3]]);
        let (scale, least) = (number(0), number(4));
        let codes = base[8..].as_chunks::<2>().0.iter().map(|code| u16::from_le_bytes(*code));
        let (max, top, log_sum) = normalizer(logits);
        let all = max + log_sum as f32;
        let loss = all - logit;
        let (mut base_loss, mut base_top) = (0.0, (f32::NEG_INFINITY, 0));
        let mut sum = 0.0;
        for (index, (code, logit)) in codes.zip(logits).enumerate() {
            let log = scale * f32::from(code) + least;
            if index == token as usize {
                base_loss = -log;
            }
            if log > base_top.0 {
                base_top = (log, index);
            }
            if log > -16.0 {
                sum += f64::from(exp(log) * (log - logit + all));
            }
        }
        finite(f64::from(loss))?;
        self.record(Scores {
            loss: [loss.into(), (loss * loss).into()],
            base_loss: [base_loss.into(), (base_loss * base_loss).into()],
            product: f64::from(loss * base_loss),
            divergence: sum,
            difference: exp(-loss) - exp(-base_loss),
            same_top: top == base_top.1,
        });
        Ok(())
    }

    /// Adds a token with the logits of both models that predicted it. Unlike a base file, which rounds log probabilities to
    /// 16 bits, this adds no error of its own: equal logits have no divergence.
    ///
    /// # Errors
    /// As for [`Divergence::add`]; [`Code::NON_FINITE`] for logits that are NaN or infinite.
    pub fn add_logits(&mut self, base: &[f32], logits: &[f32], token: u32) -> Result<()> {
        crate::validation::length("the logits of the base", base.len(), logits.len())?;
        let (logit, base_logit) = (logit_of(logits, token)?, logit_of(base, token)?);
        let (max, top, log_sum) = normalizer(logits);
        let (base_max, base_top, base_log_sum) = normalizer(base);
        let log = |logit: f32| f64::from(logit - max) - log_sum;
        let base_log = |logit: f32| f64::from(logit - base_max) - base_log_sum;
        let (loss, base_loss) = (finite(-log(logit))?, finite(-base_log(base_logit))?);
        let divergence = base.iter().zip(logits).fold(0.0, |sum, (base, logit)| {
            let (base, own) = (base_log(*base), log(*logit));
            let probability = f64::from(exp(base as f32));
            // What the base never predicts has no weight, whatever the other model predicts.
            if probability > 0.0 { sum + probability * (base - own) } else { sum }
        });
        self.record(Scores {
            loss: [loss, loss * loss],
            base_loss: [base_loss, base_loss * base_loss],
            product: loss * base_loss,
            divergence: finite(divergence)?,
            difference: exp(-loss as f32) - exp(-base_loss as f32),
            same_top: top == base_top,
        });
        Ok(())
    }

    fn record(&mut self, scores: Scores) {
        let Scores { divergence, difference, .. } = scores;
        let square = f64::from(difference * difference);
        add(&mut self.losses, scores.loss);
        add(&mut self.base_losses, scores.base_loss);
        self.products += scores.product;
        add(&mut self.divergences, [divergence, divergence * divergence]);
        add(&mut self.differences, [difference.into(), square, square * square]);
        self.same_top += u64::from(scores.same_top);
        self.each_divergence.push(divergence as f32);
        self.each_difference.push(difference);
    }

    /// All statistics; `None` without tokens.
    pub fn report(&self) -> Option<DivergenceReport> {
        let tokens = self.each_divergence.len() as u64;
        if tokens == 0 {
            return None;
        }
        let of = |[sum, squares]: [f64; 2]| Estimate::of(sum, squares, tokens);
        let (log, base_log) = (of(self.losses), of(self.base_losses));
        let shared = covariance(self.losses[0], self.base_losses[0], self.products, tokens);
        let apart = |a: f64, b: f64, shared: f64| (a * a + b * b - 2.0 * shared).max(0.0).sqrt();
        let log_ratio = Estimate {
            value: log.value - base_log.value,
            uncertainty: apart(log.uncertainty, base_log.uncertainty, shared),
        };
        let (perplexity, base_perplexity) = (log.exp(), base_log.exp());
        let scaled = perplexity.value * base_perplexity.value * shared;
        let [sum, squares, fourths] = self.differences;
        let square = of([squares, fourths]);
        let rms = square.value.sqrt();
        let same = self.same_top as f64 / tokens as f64;
        let divergences = sorted(&self.each_divergence);
        let differences = sorted(&self.each_difference);
        Some(DivergenceReport {
            tokens,
            perplexity,
            base_perplexity,
            correlation: shared / (log.uncertainty * base_log.uncertainty),
            log_ratio,
            ratio: log_ratio.exp(),
            difference: Estimate {
                value: perplexity.value - base_perplexity.value,
                uncertainty: apart(perplexity.uncertainty, base_perplexity.uncertainty, scaled),
            },
            divergence: of(self.divergences),
            divergence_percentiles: [100.0, 99.9, 99.0, 95.0, 90.0, 50.0, 10.0, 5.0, 1.0, 0.1, 0.0]
                .map(|percent| percentile(&divergences, percent)),
            probability_difference: of([sum, squares]),
            probability_difference_percentiles: [
                100.0, 99.9, 99.0, 95.0, 90.0, 75.0, 50.0, 25.0, 10.0, 5.0, 1.0, 0.1, 0.0,
            ]
            .map(|percent| percentile(&differences, percent)),
            rms_probability_difference: Estimate {
                value: rms,
                uncertainty: if rms > 0.0 { 0.5 / rms * square.uncertainty } else { 0.0 },
            },
            same_top: Estimate {
                value: same,
                uncertainty: if tokens > 1 { (same * (1.0 - same) / (tokens - 1) as f64).sqrt() } else { 0.0 },
            },
        })
    }
}

/// What a token adds.
struct Scores {
    /// The loss of the model and its square.
    loss: [f64; 2],
    /// The loss of the base model and its square.
    base_loss: [f64; 2],
    /// The product of both losses.
    product: f64,
    /// The divergence.
    divergence: f64,
    /// The difference of the probabilities of the token.
    difference: f32,
    same_top: bool,
}

fn add<const N: usize>(sums: &mut [f64; N], values: [f64; N]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

fn sorted(values: &[f32]) -> Vec<f32> {
    crate::sort::sorted(values, |a, b| a.total_cmp(b))
}

/// Linear between neighbours, with a fraction in single precision as in `llama-perplexity`; the median is the mean of the
/// two in the middle.
fn percentile(values: &[f32], percent: f64) -> Percentile {
    let last = values.len() - 1;
    let middle = values.len() / 2;
    let value = if percent == 50.0 {
        if values.len().is_multiple_of(2) { 0.5 * (values[middle] + values[middle - 1]) } else { values[middle] }
    } else {
        let place = (percent / 100.0) as f32 * last as f32;
        let below = (place as usize).min(last);
        let rest = place - below as f32;
        (1.0 - rest) * values[below] + rest * values[last.min(below + 1)]
    };
    Percentile { percent, value: f64::from(value) }
}

/// The chunks of a text as `llama-imatrix` and `llama-perplexity` cut it: `size` tokens each, the rest is dropped, and the
/// first token of each chunk is replaced by `begin`.
///
/// # Errors
/// [`Code::NO_DATA`] for a text of less than two chunks, [`Code::ARGUMENT`] for a size of 0.
pub fn chunks(tokens: &[u32], size: usize, begin: Option<u32>) -> Result<Vec<Vec<u32>>> {
    if size == 0 {
        return Err(Error::new(Code::ARGUMENT, "a chunk must have at least one token"));
    }
    if tokens.len() < size.saturating_mul(2) {
        let (have, need) = (tokens.len(), size.saturating_mul(2));
        let message =
            format!("the text has {have} tokens, but chunks of {size} need at least {need}; use a longer text");
        return Err(Error::new(Code::NO_DATA, message).with("actual", have).with("expected", need));
    }
    let chunks = tokens.chunks_exact(size).map(|chunk| {
        let mut chunk = chunk.to_vec();
        if let (Some(begin), Some(first)) = (begin, chunk.first_mut()) {
            *first = begin;
        }
        chunk
    });
    Ok(chunks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32
        };
        std::iter::repeat_with(next).take(101).collect()
    }

    #[test]
    fn equal_models_have_no_divergence_but_that_of_the_base_file() {
        let mut divergence = Divergence::default();
        let mut perplexity = Perplexity::default();
        for seed in 0..200 {
            let (logits, token) = (logits(seed), seed % 101);
            let mut row = Vec::new();
            write_base_row(&logits, &mut row);
            assert_eq!(row.len(), base_row_bytes(101));
            divergence.add(&row, &logits, token).unwrap();
            perplexity.add(&logits, token).unwrap();
        }
        let report = divergence.report().unwrap();
        assert_eq!(report.tokens, 200);
        assert!(report.divergence.value.abs() < 1e-6, "{report:?}");
        // Codes of two logits can be equal where the logits are not.
        assert!(report.same_top.value > 0.98, "{report:?}");
        assert!((report.perplexity.value / perplexity.perplexity().unwrap().value - 1.0).abs() < 1e-6);
        assert!((report.log_ratio.value).abs() < 1e-3 && report.correlation > 0.999);
    }

    #[test]
    fn divergence_and_perplexity_follow_their_definitions() {
        // Two tokens with probabilities 3/4 and 1/4 in the base, 1/2 and 1/2 in the model.
        let base = [3.0f32.ln(), 0.0];
        let mut row = Vec::new();
        write_base_row(&base, &mut row);
        let mut divergence = Divergence::default();
        for _ in 0..10 {
            divergence.add(&row, &[1.0, 1.0], 0).unwrap();
        }
        let report = divergence.report().unwrap();
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((report.divergence.value - expected).abs() < 1e-5, "{report:?}");
        assert!((report.divergence_percentiles[5].value - expected).abs() < 1e-5);
        assert!((report.perplexity.value - 2.0).abs() < 1e-6);
        assert!((report.base_perplexity.value - 4.0 / 3.0).abs() < 1e-4);
        assert!((report.ratio.value - 1.5).abs() < 1e-4);
        assert!((report.probability_difference.value + 0.25).abs() < 1e-5);
        assert!((report.rms_probability_difference.value - 0.25).abs() < 1e-5);
    }

    #[test]
    fn logits_of_a_base_give_what_its_file_gives_without_the_error_of_the_file() {
        let (mut coded, mut exact, mut same) = (Divergence::default(), Divergence::default(), Divergence::default());
        for seed in 0..200 {
            let (base, logits, token) = (logits(seed), logits(seed + 1), seed % 101);
            let mut row = Vec::new();
            write_base_row(&base, &mut row);
            coded.add(&row, &logits, token).unwrap();
            exact.add_logits(&base, &logits, token).unwrap();
            same.add_logits(&logits, &logits, token).unwrap();
        }
        let (coded, exact, same) = (coded.report().unwrap(), exact.report().unwrap(), same.report().unwrap());
        assert!(exact.divergence.value > 0.1, "{exact:?}");
        assert!((coded.divergence.value / exact.divergence.value - 1.0).abs() < 1e-4, "{coded:?} {exact:?}");
        assert!((coded.log_ratio.value - exact.log_ratio.value).abs() < 1e-4);
        assert!((coded.correlation - exact.correlation).abs() < 1e-4);
        assert_eq!((same.divergence.value, same.same_top.value, same.ratio.value), (0.0, 1.0, 1.0));
        assert!(same.divergence_percentiles.iter().all(|percentile| percentile.value == 0.0));
    }

    #[test]
    fn logits_that_are_not_finite_are_refused() {
        let mut divergence = Divergence::default();
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(Perplexity::default().add(&[0.0, bad], 0).unwrap_err().code(), Code::NON_FINITE);
            assert_eq!(divergence.add_logits(&[0.0, 0.0], &[bad, 0.0], 1).unwrap_err().code(), Code::NON_FINITE);
            assert_eq!(divergence.add_logits(&[0.0, bad], &[0.0, 0.0], 1).unwrap_err().code(), Code::NON_FINITE);
        }
        assert!(divergence.report().is_none());
    }

    #[test]
    fn percentiles_are_linear_between_neighbours() {
        let values = [0.0, 1.0, 2.0, 3.0];
        for (percent, expected) in [(0.0, 0.0), (10.0, 0.3), (50.0, 1.5), (90.0, 2.7), (100.0, 3.0)] {
            assert!((percentile(&values, percent).value - expected).abs() < 1e-6, "{percent}");
        }
        assert_eq!(percentile(&[7.0], 99.9).value, 7.0);
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let mut divergence = Divergence::default();
        assert!(divergence.report().is_none());
        assert_eq!(divergence.add(&[0; 10], &[0.0; 2], 0).unwrap_err().code(), Code::LENGTH);
        assert_eq!(divergence.add(&[0; 12], &[0.0; 2], 2).unwrap_err().code(), Code::RANGE);
        assert_eq!(Perplexity::default().add(&[], 0).unwrap_err().code(), Code::RANGE);
        assert_eq!(chunks(&[1; 9], 5, None).unwrap_err().code(), Code::NO_DATA);
        assert_eq!(chunks(&[1; 9], 0, None).unwrap_err().code(), Code::ARGUMENT);
        assert_eq!(chunks(&[1, 2, 3, 4, 5], 2, Some(7)).unwrap(), [[7, 2], [7, 4]]);
    }
}
