//! The factors by which Llama 3.1 stretches the turning of positions: a tensor that no file of the model has.
//!
//! Source: `LlamaModel.generate_extra_tensors` of llama.cpp (MIT). It computes in f32, as does this; only the powers are
//! torch's there and rounded correctly here, which for some bases is a last bit's difference. For the base of all of Meta's
//! models, 500000, and heads of 64 and 128, there is none.

use super::parameters::Parameters;
use crate::error::Result;
use std::f32::consts::PI;

/// One factor for each pair of a head's columns, if positions are scaled so.
pub(super) fn factors(parameters: &Parameters) -> Result<Option<Vec<f32>>> {
    let Some(scaling) = parameters.llama3()? else { return Ok(None) };
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
