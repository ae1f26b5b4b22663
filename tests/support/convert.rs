//! A whole conversion in memory: plan, tiles of a few rows, header, padding.

use quantpress::Result;
use quantpress::container::gguf::{Header, Parsed, parse};
use quantpress::container::imatrix::ImportanceMatrix;
use quantpress::recipe::{Plan, PlannedTensor, Recipe, encode_tile, plan};
use sha2::{Digest, Sha256};

/// The header of a file that is all in memory.
pub fn header(file: &[u8]) -> Result<Header> {
    match parse(file, file.len() as u64)? {
        Parsed::Header(header) => Ok(*header),
        Parsed::NeedsMore(bytes) => panic!("the parser has the whole file and wants {bytes} bytes"),
    }
}

/// The file a recipe makes of another.
pub fn convert(file: &[u8], recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Vec<u8>> {
    written(&plan(&header(file)?, recipe, importance)?, file)
}

/// The file a plan makes of another.
pub fn written(plan: &Plan, file: &[u8]) -> Result<Vec<u8>> {
    let mut out = plan.header.clone();
    let mut further = plan.further.iter().peekable();
    for (index, tensor) in plan.tensors.iter().enumerate() {
        if let Some(shard) = further.next_if(|shard| shard.offset == out.len() as u64) {
            out.extend(&shard.header);
        }
        assert_eq!(out.len() as u64, tensor.place.offset, "{} is not where the plan says", tensor.name);
        let bytes = encode(file, plan, index, tensor)?;
        assert_eq!(bytes.len() as u64, tensor.place.bytes, "{} is not as long as the plan says", tensor.name);
        out.extend(bytes);
        out.resize((tensor.place.offset + tensor.place.padded) as usize, 0);
    }
    assert_eq!(out.len() as u64, plan.size, "the file is not as long as the plan says");
    Ok(out)
}

fn encode(file: &[u8], plan: &Plan, index: usize, tensor: &PlannedTensor) -> Result<Vec<u8>> {
    /// A prime, so that tiles end anywhere.
    const ROWS: usize = 61;
    let start = tensor.source_offset as usize;
    let source = &file[start..start + tensor.source_bytes as usize];
    let row_bytes = source.len() / tensor.rows as usize;
    let importance = plan.importance(index);
    let row = tensor.row_length as usize;
    // A tile never spans two experts: each has its own importance.
    let expert_rows = tensor.shape.get(1).copied().unwrap_or(1) as usize;
    let mut out = Vec::new();
    for (expert, rows) in source.chunks(expert_rows * row_bytes).enumerate() {
        let importance = importance.map(|values| &values[expert * row..(expert + 1) * row]);
        for tile in rows.chunks(ROWS * row_bytes) {
            out.extend(encode_tile(tile, tensor.from.name, tensor.to.name, row, importance, 0)?);
        }
    }
    Ok(out)
}

/// The sha256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
