//! A plain GGUF container: every tensor under its own name, without an architecture that a program could run.

use super::folder::{Float, Folder};
use crate::container::gguf::{Header, MAX_DIMS, MAX_NAME_BYTES, Tensor, TensorType, Value};
use crate::container::safetensors::SafetensorsTensor;
use crate::error::{Code, Error, Result};
use crate::interning::{Name, Shape};
use crate::recipe::PLAIN;

/// ggml's integer types.
const INTEGERS: &[TensorType] = &[TensorType::I8, TensorType::I16, TensorType::I32, TensorType::I64];

/// Creates the header. Tensors of one dimension are in F32, which all programs that run GGUF expect, others as
/// specified by `float`; `__metadata__` becomes strings under `safetensors.`.
pub(super) fn header(folder: &Folder, float: Float) -> Result<Header> {
    let mut pairs = vec![
        ("general.architecture".to_owned(), Value::String(PLAIN.as_bytes())),
        ("general.file_type".to_owned(), Value::U32(float.file_type(folder.tensors().iter().map(|t| t.dtype)))),
        ("general.quantization_version".to_owned(), Value::U32(2)),
    ];
    for (key, value) in folder.metadata() {
        pairs.push((format!("safetensors.{key}"), Value::String(value.as_bytes())));
    }
    let tensors = folder.tensors().iter().map(|tensor| {
        let dtype = if INTEGERS.contains(&tensor.dtype) {
            tensor.dtype
        } else if tensor.shape.len() <= 1 {
            TensorType::F32
        } else {
            float.of(tensor.dtype)
        };
        imported_tensor(tensor, tensor.name.clone(), dtype, MAX_NAME_BYTES)
    });
    Ok(Header::imported(&pairs, tensors.collect::<Result<_>>()?, folder.size()))
}

/// Creates a GGUF tensor that refers to the data of a safetensors tensor.
pub(super) fn imported_tensor(
    tensor: &SafetensorsTensor,
    name: Name,
    dtype: TensorType,
    max_name: u64,
) -> Result<Tensor> {
    let refuse = |code: Code, message: String| {
        Err(Error::new(code, format!("tensor '{}': {message}", tensor.name)).with("tensor", tensor.name.as_str()))
    };
    let dims = tensor.shape.len();
    if name.is_empty() {
        return refuse(Code::UNSUPPORTED, "it has no name, which GGUF does not allow".to_owned());
    }
    if name.len() as u64 > max_name {
        return refuse(Code::TOO_LARGE, format!("its name has {} bytes; the limit is {max_name}", name.len()));
    }
    if dims > MAX_DIMS as usize {
        return refuse(Code::UNSUPPORTED, format!("it has {dims} dimensions; GGUF allows at most {MAX_DIMS}"));
    }
    if tensor.bytes == 0 {
        return refuse(Code::UNSUPPORTED, "it has no weights, which GGUF does not allow".to_owned());
    }
    if matches!(tensor.dtype, TensorType::U32 | TensorType::U64) {
        return refuse(Code::UNSUPPORTED, format!("GGUF has no type for {}", tensor.dtype.name));
    }
    let shape: Shape = match *tensor.shape {
        [] => [1].into(),
        [_] => tensor.shape.clone(),
        _ => tensor.shape.iter().rev().copied().collect::<Vec<_>>().into(),
    };
    let (offset, bytes) = (tensor.offset, tensor.bytes);
    Ok(Tensor { name, shape, dtype, stored_dtype: tensor.dtype, permuted_head_rows: 0, offset, bytes })
}
