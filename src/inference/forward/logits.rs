//! The step that multiplies with the output matrix.

use super::{Expert, Forward, LOGITS, Slot, Step};
use crate::allocation::zeros;
use crate::error::Result;
use crate::inference::math::{rms_norm, soft_cap};
use crate::lanes::Lanes;
use std::mem::take;
use std::sync::Arc;

impl<L: Lanes> Forward<L> {
    /// Normalizes the next tokens whose logits are wanted, and makes room for their logits.
    pub(super) fn prepare_logits(&mut self) -> Result<()> {
        let model = Arc::clone(&self.model);
        let (Some(Step::Logits { weight, bias, .. }), Some(norm)) = (model.steps.get(self.step), self.vector.take())
        else {
            return Ok(());
        };
        if bias.is_some() && self.bias.is_none() {
            self.vector = Some(norm);
            return Ok(());
        }
        let p = &model.parameters;
        if self.next_logits == 0 {
            self.free_layers();
        }
        let residual = self.take(Slot::Residual, p.width)?;
        let own = &model.weights[*weight];
        if self.options.process_output && own.name.as_str() == "output.weight" && self.next_logits == 0 {
            let mut row = zeros(p.width)?;
            if let Some(importance) = &mut self.importance {
                for input in residual.chunks_exact(p.width) {
                    rms_norm(input, &norm, p.epsilon, &mut row);
                    importance.add(&own.name, p.width, [0, 1], &row);
                }
            }
        }
        let vocabulary = model.vocabulary;
        let count = (LOGITS / vocabulary.max(1)).max(1).min(self.wanted.len() - self.next_logits);
        let mut inputs = take(&mut self.buffers[Slot::Input as usize]);
        inputs.resize(count * p.width, 0.0);
        for (out, (_, place)) in inputs.chunks_exact_mut(p.width).zip(&self.wanted[self.next_logits..]) {
            rms_norm(&residual[place * p.width..][..p.width], &norm, p.epsilon, out);
        }
        if self.logits.len() < count * vocabulary {
            self.logits = zeros(count * vocabulary)?;
        }
        self.put(Slot::Residual, residual);
        self.put(Slot::Input, inputs);
        self.row = 0;
        self.vector = Some(norm);
        Ok(())
    }

    /// Frees the buffers that only layers use.
    fn free_layers(&mut self) {
        for (index, buffer) in self.buffers.iter_mut().enumerate() {
            if index != Slot::Residual as usize && index != Slot::Input as usize {
                *buffer = Vec::new();
            }
        }
        self.expert = Expert::default();
        self.uses = Vec::new();
    }

    /// Adds the bias, caps the logits, and tells whose they are.
    pub(super) fn finish_logits(&mut self) {
        let p = &self.model.parameters;
        let vocabulary = self.model.vocabulary;
        let count = self.buffers[Slot::Input as usize].len() / p.width;
        self.logits.truncate(count * vocabulary);
        if let Some(bias) = &self.bias {
            for row in self.logits.chunks_exact_mut(vocabulary) {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        }
        if p.soft_caps[1] != 0.0 {
            soft_cap(&mut self.logits, p.soft_caps[1]);
        }
        self.places.extend(self.wanted[self.next_logits..][..count].iter().map(|(place, _)| *place));
        self.next_logits += count;
    }
}
