//! The step that rotates queries and keys, and attends.

use super::{Forward, Slot};
use crate::error::Result;
use crate::half::{f16_from_f32, f16_to_f32};
use crate::inference::attention::{Inputs, attend};
use crate::inference::rope::rotate;
use crate::lanes::Lanes;
use std::ops::Range;
use std::sync::Arc;

impl<L: Lanes> Forward<L> {
    /// Computes the attention of a layer from its queries, keys and values.
    pub(super) fn attention(&mut self, layer: usize) -> Result<()> {
        let model = Arc::clone(&self.model);
        let p = &model.parameters;
        let windowed = p.windowed[layer];
        let (rope, window) = if windowed { (p.window_rope, p.window) } else { (p.rope, 0) };
        let period = p.architecture.no_rope_period as usize;
        let widths = [Slot::Queries, Slot::Keys, Slot::Values].map(|slot| self.width(slot));
        let mut queries = self.take(Slot::Queries, widths[0])?;
        let mut keys = self.take(Slot::Keys, widths[1])?;
        let mut values = self.take(Slot::Values, widths[2])?;
        if period == 0 || !(layer + 1).is_multiple_of(period) {
            let mut angles = Vec::new();
            let longest = self.sequences.iter().map(Range::len).max().unwrap_or(0);
            for position in 0..longest {
                rope.angles(position, self.factors.as_deref(), &mut angles);
                for sequence in self.sequences.iter().filter(|sequence| position < sequence.len()) {
                    let at = sequence.start + position;
                    let pairing = p.architecture.pairing;
                    rotate(&mut queries[at * widths[0]..][..widths[0]], p.key_length, pairing, &angles);
                    rotate(&mut keys[at * widths[1]..][..widths[1]], p.key_length, pairing, &angles);
                }
            }
        }
        if self.options.f16_cache {
            keys.iter_mut().chain(&mut values).for_each(|x| *x = f16_to_f32(f16_from_f32(*x)));
        }
        let width = p.heads * p.value_length;
        let mut out = self.take(Slot::Input, width)?;
        for range in &self.sequences {
            let part = |width: usize| range.start * width..range.end * width;
            let inputs = Inputs {
                queries: &queries[part(widths[0])],
                keys: &keys[part(widths[1])],
                values: &values[part(widths[2])],
            };
            attend::<L>(p, &inputs, window, &mut out[part(width)])?;
        }
        self.put(Slot::Queries, queries);
        self.put(Slot::Keys, keys);
        self.put(Slot::Values, values);
        self.put(Slot::Input, out);
        Ok(())
    }
}
