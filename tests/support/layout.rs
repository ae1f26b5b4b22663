//! The fields of a format, read from the layout in the documentation of its file, for use in failure messages.

use quantpress::Codec;
use std::ops::Range;

/// Byte ranges and names, in order. Empty for formats that are a single number.
pub fn fields(codec: &Codec) -> Vec<(Range<usize>, String)> {
    let path = format!("{}/src/format/{}.rs", env!("CARGO_MANIFEST_DIR"), codec.name.to_lowercase());
    let source = std::fs::read_to_string(path).unwrap_or_default();
    source.lines().take_while(|line| line.starts_with("//!")).filter_map(field).collect()
}

/// Parses `//! byte  2..18   qs   ...`.
fn field(line: &str) -> Option<(Range<usize>, String)> {
    let mut words = line.strip_prefix("//! byte ")?.split_whitespace();
    let (from, to) = words.next()?.split_once("..")?;
    Some((from.parse().ok()?..to.parse().ok()?, words.next()?.to_owned()))
}

/// The name of the field that contains byte `at` of a block.
pub fn field_at(codec: &Codec, at: usize) -> String {
    let found = fields(codec).into_iter().find(|(range, _)| range.contains(&at));
    found.map_or_else(|| format!("byte {at}"), |(range, name)| format!("{name}, byte {at} of {range:?}"))
}
