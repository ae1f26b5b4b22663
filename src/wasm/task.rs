//! JavaScript bindings of the tasks of `job/` and of whole-model analyses: everything that workers run.

use super::arrays::reading;
use super::build::{Object, figures_of};
use crate::analysis::DistortionSums;
use crate::container::gguf::TensorType;
use crate::error::{Code, Error};
use crate::job::{Done, ErrorFigures, Findings, Measure, Task};
use crate::recipe;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

/// Runs a task on the bytes that were read; returns `{ found, bytes, passes }`. Bytes that pass through unchanged are
/// not copied out.
#[wasm_bindgen(js_name = runTask)]
pub fn run_task(task: &[u8], bytes: &Uint8Array) -> Result<JsValue, Error> {
    let task = Task::from_bytes(task)?;
    let result = |found: Findings| Object::new().bytes("found", &found.to_bytes());
    if let Some(pass) = task.pass()? {
        return Ok(result(pass.run(reading(bytes))?).done());
    }
    let Done { bytes, found, .. } = task.run(bytes.to_vec())?;
    Ok(result(found).bytes("bytes", &bytes).done())
}

/// Runs a measurement on the bytes that were read. See [`Measure::run`].
#[wasm_bindgen]
pub fn measure(measure: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(Measure::from_bytes(measure)?.run(bytes)?.to_bytes())
}

/// Calculates the figures of tiles from their [sums](DistortionSums), one after the other in the order of the tensor; in the order of
/// the columns of a report.
#[wasm_bindgen(js_name = errorFigures)]
pub fn error_figures(sums: &[f64], weighted: bool) -> Result<Vec<f64>, Error> {
    let (tiles, []) = sums.as_chunks() else {
        return Err(Error::new(Code::LENGTH, "a tile has eight sums"));
    };
    let mut all = DistortionSums::default();
    tiles.iter().for_each(|tile| all.append(&DistortionSums::from_array(*tile)));
    Ok(figures_of(&ErrorFigures::of(&all, weighted)).to_vec())
}

/// Decodes the weights of a tensor of any dtype to f32.
#[wasm_bindgen(js_name = decodeToF32)]
pub fn decode_to_f32(bytes: &[u8], from: &str) -> Result<Vec<f32>, Error> {
    recipe::decode_to_f32(bytes, TensorType::by_name(from)?)
}
