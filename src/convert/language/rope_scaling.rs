//! Llama 3.1's RoPE scaling factors, a tensor that is not in any file of the model.
//!
//! Source: `LlamaModel.generate_extra_tensors` of llama.cpp (MIT). Like the source this computes in f32; only powers
//! differ: the source uses torch's, which for some bases differ in the last bit from the correctly rounded ones here.
//! For the base 500000 of all of Meta's models and heads of 64 and 128 there is no difference.

use super::hparams::HParams;
use crate::error::Result;
use std::f32::consts::PI;

/// One factor per pair of a head's columns, if the model has this RoPE scaling.
pub(super) fn factors(hparams: &HParams) -> Result<Option<Vec<f32>>> {
    let Some(scaling) = hparams.llama3()? else { return Ok(None) };
    let [factor, low, high, length] = [scaling.factor, scaling.low, scaling.high, scaling.length].map(|x| x as f32);
    let (longest, shortest) = ((scaling.length / scaling.low) as f32, (scaling.length / scaling.high) as f32);
    let columns = (0..scaling.columns).step_by(2).map(|column| {
        let power = column as f32 / scaling.columns as f32;
        let frequency = 1.0 / libm::pow(f64::from(scaling.base as f32), power.into()) as f32;
        let wave = 2.0 * PI / frequency;
        if wave < shortest {
            1.0
        } else if wave > longest {
            factor
        } else {
            let smooth = (length / wave - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    });
    Ok(Some(columns.collect()))
}
