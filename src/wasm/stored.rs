//! JavaScript bindings of `job/stored.rs`: what reads, checks and compares the tensors of files.

use super::read::count;
use crate::container::gguf::TensorType;
use crate::error::Error;
use crate::job::{Piece, StoredTensor, problem_of};
use crate::recipe::{self, Difference};
use wasm_bindgen::prelude::*;

fn stored(dtype: &str, shape: &[f64], offset: f64) -> Result<StoredTensor, Error> {
    let shape = shape.iter().map(|n| count("shape", *n)).collect::<Result<_, Error>>()?;
    Ok(StoredTensor { dtype: TensorType::by_name(dtype)?, shape, offset: count("offset", offset)? })
}

/// See [`StoredTensor::pieces`] and [`StoredTensor::weights_of_rows`]; for all rows without `from` and `to`. Returns the
/// number of weights, then for each piece its offset, length, first weight and number of weights.
#[wasm_bindgen(js_name = tensorPieces)]
pub fn tensor_pieces(
    name: &str,
    dtype: &str,
    shape: &[f64],
    offset: f64,
    from: Option<f64>,
    to: Option<f64>,
    most: f64,
) -> Result<Vec<f64>, Error> {
    let tensor = stored(dtype, shape, offset)?;
    let rows = from.zip(to).map(|(from, to)| Ok(count("from", from)?..count("to", to)?)).transpose()?;
    let weights = tensor.weights_of_rows(name, rows)?;
    let numbers = |piece: Piece| [piece.offset, piece.length, piece.first_weight - weights.start, piece.weights];
    let pieces = tensor.pieces(weights.clone(), count("most", most)?).flat_map(numbers);
    Ok(std::iter::once(weights.end - weights.start).chain(pieces).map(|number| number as f64).collect())
}

/// See [`problem_of`].
#[wasm_bindgen(js_name = problemOf)]
pub fn problem_of_piece(bytes: &[u8], dtype: &str, first_weight: f64) -> Result<Option<String>, Error> {
    Ok(problem_of(bytes, TensorType::by_name(dtype)?, count("firstWeight", first_weight)?))
}

/// See [`StoredTensor::comparison_steps`].
#[wasm_bindgen(js_name = comparisonSteps)]
pub fn comparison_steps(
    dtype: &str,
    shape: &[f64],
    other_type: &str,
    other_shape: &[f64],
) -> Result<Option<f64>, Error> {
    let (tensor, other) = (stored(dtype, shape, 0.0)?, stored(other_type, other_shape, 0.0)?);
    Ok(tensor.comparison_steps(&other).map(|steps| steps as f64))
}

/// See [`StoredTensor::compared_piece`]; returns offset and length.
#[wasm_bindgen(js_name = comparedPiece)]
pub fn compared_piece(dtype: &str, shape: &[f64], offset: f64, step: f64) -> Result<Vec<f64>, Error> {
    let Piece { offset, length, .. } = stored(dtype, shape, offset)?.compared_piece(count("step", step)?);
    Ok(vec![offset as f64, length as f64])
}

/// See [`recipe::difference`]; the eight sums of a difference, one number if there is one that cannot be measured, and
/// none if there is none.
#[wasm_bindgen(js_name = differenceOf)]
pub fn difference_of(bytes: &[u8], dtype: &str, other: &[u8], other_type: &str) -> Result<Vec<f64>, Error> {
    Ok(match recipe::difference(bytes, dtype, other, other_type)? {
        Difference::Same => Vec::new(),
        Difference::Differs => vec![1.0],
        Difference::Sums(sums) => sums.to_array().to_vec(),
    })
}
