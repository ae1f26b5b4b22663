//! Tensor names as in llama.cpp: the layer number, the sort order, and renaming when layers are pruned.

use crate::error::{Code, Error, Result};
use crate::interning::Name;
use crate::sort::sorted;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The layer of "blk.12.": the result of C's `sscanf(name, "blk.%d.")`, which accepts spaces and signs.
fn layer(name: &str) -> Option<i64> {
    let rest = name.strip_prefix("blk.")?.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (sign, digits) = match rest.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = digits.get(..end)?.parse::<i64>().ok()?;
    Some(sign * number)
}

/// The layer that a tensor is sorted by: -1 for a name without a layer.
pub(super) fn sorted_layer(name: &str) -> i64 {
    layer(name).unwrap_or(-1)
}

/// Orders tensors, given as layer and name, by [layer](sorted_layer) and then by name.
pub(super) fn compare(left: (i64, &str), right: (i64, &str)) -> Ordering {
    left.0.cmp(&right.0).then_with(|| left.1.as_bytes().cmp(right.1.as_bytes()))
}

/// Renumbers layers when some are pruned.
#[derive(Debug)]
pub(super) struct Pruner {
    /// The pruned layers, sorted, without duplicates.
    pruned: Vec<u32>,
    mapped: BTreeMap<u32, Option<u32>>,
    /// The number of the next layer; at the end, the number of layers.
    pub next: u32,
}

impl Pruner {
    pub fn new(layers: &[u32]) -> Self {
        let mut pruned = sorted(layers, Ord::cmp);
        pruned.dedup();
        Pruner { pruned, mapped: BTreeMap::new(), next: 0 }
    }

    /// Whether any layers are pruned.
    pub fn is_active(&self) -> bool {
        !self.pruned.is_empty()
    }

    /// The new name of a tensor, or `None` if it is pruned. Must be called in the order in which tensors are written.
    ///
    /// # Errors
    /// [`Code::RANGE`] for a layer number that is too large.
    pub fn rename(&mut self, name: &Name) -> Result<Option<Name>> {
        let Some(first) = self.pruned.first().copied() else { return Ok(Some(name.clone())) };
        let Some((start, digits)) = numbered_block(name) else { return Ok(Some(name.clone())) };
        let block: u32 = digits.parse().map_err(|_| {
            Error::new(Code::RANGE, format!("tensor '{name}' has the layer number {digits}, which is too large"))
        })?;
        let new = match self.mapped.get(&block) {
            Some(new) => *new,
            None => {
                let new = if self.pruned.contains(&block) {
                    None
                } else if block < first {
                    self.next = block.saturating_add(1);
                    Some(block)
                } else {
                    let new = self.next;
                    self.next = self.next.saturating_add(1);
                    Some(new)
                };
                self.mapped.insert(block, new);
                new
            }
        };
        Ok(new.map(|new| format!("{}{new}{}", &name[..start], &name[start + digits.len()..]).into()))
    }
}

/// The first `blk.<digits>.` in a name: the position of the digits, and the digits.
fn numbered_block(name: &str) -> Option<(usize, &str)> {
    name.match_indices("blk.").find_map(|(at, found)| {
        let start = at + found.len();
        let rest = &name[start..];
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        (end > 0 && rest[end..].starts_with('.')).then(|| (start, &rest[..end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_numbers_are_parsed_as_by_scanf() {
        let cases = [("blk.7.attn_q.weight", Some(7)), ("blk. 7", Some(7)), ("blk.-1.x", Some(-1)), ("blk.x", None)];
        for (name, want) in cases {
            assert_eq!(layer(name), want, "{name}");
        }
        assert_eq!(layer("output.weight"), None);
    }

    #[test]
    fn order_is_by_layer_then_name() {
        let mut names = ["blk.10.b", "blk.2.a", "token_embd.weight", "blk.2.B", "output.weight", "enc.blk.1.a"];
        names.sort_by(|a, b| compare((sorted_layer(a), a), (sorted_layer(b), b)));
        assert_eq!(names, ["enc.blk.1.a", "output.weight", "token_embd.weight", "blk.2.B", "blk.2.a", "blk.10.b"]);
    }

    #[test]
    fn pruned_layers_close_the_gap() {
        let mut pruner = Pruner::new(&[3, 1, 3]);
        let names = ["output.weight", "blk.0.a", "blk.1.a", "blk.2.a", "blk.2.b", "blk.3.a", "blk.4.a"];
        let renamed: Vec<_> = names.iter().map(|name| pruner.rename(&Name::from(*name)).unwrap()).collect();
        let want =
            [Some("output.weight"), Some("blk.0.a"), None, Some("blk.1.a"), Some("blk.1.b"), None, Some("blk.2.a")];
        assert_eq!(renamed.iter().map(Option::as_deref).collect::<Vec<_>>(), want);
        assert_eq!(pruner.next, 3);
    }
}
