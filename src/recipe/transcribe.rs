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
        name: tensor.name.clone(),
        source_name: tensor.name.clone(),
        from: tensor.stored,
        to: tensor.kind,
        why: "conversion".to_owned(),
        shape: tensor.shape.clone(),
        rows: tensor.rows(),
        row_length: tensor.row_length(),
        head_rows: tensor.head_rows,
        source_offset: tensor.offset,
        source_bytes: tensor.bytes,
        place,
        needs_importance: false,
        has_importance: false,
    });
    Ok(Plan { header: written.header, tensors: planned.collect(), size: written.size, importance: None })
}
