//! A header that was made from another container, written as it is.

use super::plan::{Plan, PlannedTensor};
use crate::container::gguf::{Header, Record, write_header};
use crate::error::Result;

/// The plan that writes what `header` says: its metadata, and its tensors in their order, each as its `kind`.
///
/// # Errors
/// Those of [`write_header`].
pub fn transcribe(header: &Header) -> Result<Plan> {
    let pairs: Vec<&[u8]> = header.metadata().map(|pair| pair.raw).collect();
    let tensors = header.tensors();
    let records: Vec<_> = tensors.iter().map(|t| Record { name: &t.name, shape: &t.shape, kind: t.kind }).collect();
    let written = write_header(&pairs, &records, header.alignment())?;
    let planned = tensors.iter().zip(written.places).map(|(tensor, place)| PlannedTensor {
        place,
        ..PlannedTensor::of(tensor, tensor.kind, "conversion".to_owned())
    });
    Ok(Plan { header: written.header, tensors: planned.collect(), size: written.size, importance: None })
}
