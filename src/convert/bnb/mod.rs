//! Plans a safetensors file whose linear layers are in bitsandbytes' NF4 or FP4, as `transformers` loads it. All sizes
//! follow from the shapes, so the header can be written first.
//!
//! ```text
//! copied tensors, largest element size first            so that all are aligned for their readers
//! for each quantized one: its codes, followed by what nf4/file_layout.rs appends
//! ```
//!
//! Source: `QuantState.as_dict(packed=True)` of bitsandbytes 0.50.2, and `Bnb4BitHfQuantizer` of transformers 5.24.

mod modules;

use super::folder::Folder;
use crate::container::gguf::{DataRange, TensorType};
use crate::container::safetensors::SafetensorsTensor;
use crate::error::{Code, Error, Result};
use crate::interning::{Interner, Name};
use crate::json::{self, quoted};
use crate::nf4::{BLOCK_SIZE, DataType4Bit, StateDtype, TailLayout};
use crate::recipe::{BnbLayout, BnbRequest, Plan, PlannedTensor, bnb_compute_dtype};
use crate::sort::sorted;
use modules::{Choice, ModelKind, choose};

/// The data of a file starts at a multiple of this.
const ALIGNMENT: usize = 8;

/// Plans the conversion of a model to one of bitsandbytes' formats.
///
/// # Errors
/// [`Code::ARGUMENT`] for a model that is already quantized; [`Code::MALFORMED`] for
/// a `config.json` that is not a JSON object; [`Code::UNSUPPORTED`] for weights that are codes or transposed.
pub fn plan(folder: &Folder, request: &BnbRequest) -> Result<Plan> {
    let BnbRequest { dtype, double_quant, ref excluded } = *request;
    let quantized = folder.tensors().iter().find(|tensor| tensor.name.contains(".quant_state.bitsandbytes__"));
    if let Some(SafetensorsTensor { name, .. }) = quantized {
        let message = format!("the model is already quantized by bitsandbytes (tensor '{name}')");
        return Err(Error::new(Code::ARGUMENT, message).with("tensor", name.as_str()));
    }
    folder.refuse_codes()?;
    let model = folder.file("config.json").map(config).transpose()?.unwrap_or_default();
    let choice = choose(folder.tensors(), &model, excluded)?;
    let data_type = if dtype == TensorType::NF4 { DataType4Bit::Nf4 } else { DataType4Bit::Fp4 };
    let layout = TailLayout { data_type, double_quant };
    lay(folder.tensors(), dtype, layout, choice)
}

fn config(text: &[u8]) -> Result<ModelKind> {
    let config = json::parse(text, "config.json")?;
    if config.as_object().is_none() {
        return Err(Error::new(Code::MALFORMED, "config.json is not a JSON object"));
    }
    if config.get("quantization_config").is_some() {
        return Err(Error::new(Code::ARGUMENT, "config.json states that the model is already quantized"));
    }
    Ok(ModelKind::of(&config))
}

/// The records of a header, and the offset of the next one.
#[derive(Default)]
struct Records {
    json: String,
    at: u64,
}

impl Records {
    fn add(&mut self, name: &str, dtype: &str, shape: &[u64], bytes: u64) {
        let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
        let end = self.at.saturating_add(bytes);
        self.json += &format!(
            r#",{}:{{"dtype":"{dtype}","shape":[{}],"data_offsets":[{},{end}]}}"#,
            quoted(name),
            shape.join(","),
            self.at
        );
        self.at = end;
    }

    /// The header, padded so that the data starts at a multiple of 8.
    fn header(&self) -> Vec<u8> {
        let mut json = format!(r#"{{"__metadata__":{{"format":"pt"}}{}}}"#, self.json).into_bytes();
        json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
        [(json.len() as u64).to_le_bytes().to_vec(), json].concat()
    }
}

fn lay(all: &[SafetensorsTensor], dtype: TensorType, layout: TailLayout, choice: Choice) -> Result<Plan> {
    let Choice { kept, skipped } = choice;
    let mut records = Records::default();
    let mut reasons = Interner::default();
    let mut tensors = Vec::with_capacity(all.len());
    let (stay, change): (Vec<&SafetensorsTensor>, Vec<_>) =
        all.iter().partition(|tensor| kept.contains_key(&tensor.name));
    for tensor in sorted(&stay, |a, b| b.dtype.bytes.cmp(&a.dtype.bytes)) {
        let place = DataRange { offset: records.at, bytes: tensor.bytes, padded: tensor.bytes };
        let why = kept.get(&tensor.name).copied().unwrap_or_default();
        tensors.push(placed(tensor, tensor.dtype, reasons.intern(why), place));
        records.add(&tensor.name, tensor.dtype.name, &tensor.shape, tensor.bytes);
    }
    for tensor in change {
        let offset = records.at;
        let weights: u64 = tensor.shape.iter().product();
        let (bytes, blocks) = (weights.div_ceil(2), weights.div_ceil(BLOCK_SIZE as u64));
        records.add(&tensor.name, "U8", &[bytes, 1], bytes);
        let shape: Vec<usize> = tensor.shape.iter().map(|extent| *extent as usize).collect();
        for part in layout.parts(&shape, bnb_compute_dtype(tensor.dtype), blocks, records.at)? {
            let size = if part.dtype == StateDtype::F32 { 4 } else { 1 };
            let name = format!("{}{}", tensor.name, part.suffix);
            records.add(&name, part.dtype.name(), &[part.count], size * part.count);
        }
        let place = DataRange { offset, bytes, padded: records.at - offset };
        tensors.push(placed(tensor, dtype, reasons.intern("a linear layer"), place));
    }
    let header = records.header();
    for tensor in &mut tensors {
        tensor.place.offset = tensor.place.offset.saturating_add(header.len() as u64);
    }
    let size = records.at.saturating_add(header.len() as u64);
    Ok(Plan::of_bnb(header, tensors, size, BnbLayout { layout, skipped }))
}

fn placed(tensor: &SafetensorsTensor, to: TensorType, why: Name, place: DataRange) -> PlannedTensor {
    let mut shape: Vec<u64> = tensor.shape.iter().rev().copied().collect();
    if shape.is_empty() {
        shape.push(1);
    }
    let (name, dtypes, source) = (tensor.name.clone(), [tensor.dtype, to], [tensor.offset, tensor.bytes]);
    PlannedTensor::of_bnb(name, dtypes, why, shape.into(), source, place)
}
