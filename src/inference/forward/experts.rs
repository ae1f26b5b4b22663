//! The step that runs the experts of a layer, one after the other.

use super::{Forward, Matrix, Request, Slot, activate};
use crate::allocation::{reserve, zeros};
use crate::error::Result;
use crate::inference::matmul::multiply;
use crate::lanes::Lanes;
use std::sync::Arc;

impl<L: Lanes> Forward<L> {
    /// The next rows of the experts; an expert that no token uses is not read.
    pub(super) fn wanted_by_experts(&mut self, [gate, up, down]: [usize; 3]) -> Result<Option<Request>> {
        let model = Arc::clone(&self.model);
        let p = &model.parameters;
        if let Some(importance) = &mut self.importance {
            for tensor in [gate, up, down] {
                let weight = &model.weights[tensor];
                importance.entry(&weight.name, weight.columns, p.experts);
            }
        }
        while self.expert.index < p.experts && self.uses[self.expert.index].is_empty() {
            self.expert.index += 1;
        }
        if self.expert.index == p.experts {
            return Ok(None);
        }
        if self.expert.matrix == Matrix::Gate && self.row == 0 {
            self.gather(gate, up)?;
        }
        let (tensor, rows) = match self.expert.matrix {
            Matrix::Gate => (gate, p.hidden),
            Matrix::Up => (up, p.hidden),
            Matrix::Down => (down, p.width),
        };
        Ok(self.rows(tensor, self.expert.index * rows + self.row, rows - self.row))
    }

    /// Collects the inputs of the current expert.
    fn gather(&mut self, gate: usize, up: usize) -> Result<()> {
        let model = Arc::clone(&self.model);
        let p = &model.parameters;
        let uses = &self.uses[self.expert.index];
        let source = if p.architecture.norm_before { Slot::Input } else { Slot::Residual };
        let all = &self.buffers[source as usize];
        let mut inputs = Vec::new();
        reserve(&mut inputs, uses.len() * p.width)?;
        for used in uses {
            inputs.extend_from_slice(&all[used.token * p.width..][..p.width]);
        }
        if let Some(importance) = &mut self.importance {
            for tensor in [gate, up] {
                importance.add(&model.weights[tensor].name, p.width, [self.expert.index, p.experts], &inputs);
            }
        }
        self.expert.gate = zeros(uses.len() * p.hidden)?;
        self.expert.up = zeros(uses.len() * p.hidden)?;
        self.expert.outputs = zeros(uses.len() * p.width)?;
        self.expert.inputs = inputs;
        Ok(())
    }

    pub(super) fn apply_expert(&mut self, request: &Request, tile: &[f32]) {
        let model = Arc::clone(&self.model);
        let p = &model.parameters;
        let weight = &model.weights[request.tensor];
        self.packed.pack(tile, weight.columns);
        let expert = &mut self.expert;
        let (inputs, out, rows) = match expert.matrix {
            Matrix::Gate => (&expert.inputs, &mut expert.gate, p.hidden),
            Matrix::Up => (&expert.inputs, &mut expert.up, p.hidden),
            Matrix::Down => (&expert.gate, &mut expert.outputs, p.width),
        };
        multiply::<L>(inputs, &mut self.packed, out, rows, self.row);
        self.row += request.rows.1;
        if self.row < rows {
            return;
        }
        self.row = 0;
        match expert.matrix {
            Matrix::Gate => expert.matrix = Matrix::Up,
            Matrix::Up => {
                activate(self.gelu.as_ref(), &mut expert.gate, &expert.up);
                expert.matrix = Matrix::Down;
            }
            Matrix::Down => {
                if let Some(importance) = &mut self.importance {
                    importance.add(&weight.name, p.hidden, [expert.index, p.experts], &expert.gate);
                }
                let output = &mut self.buffers[Slot::Output as usize];
                for (used, row) in self.uses[expert.index].iter().zip(expert.outputs.chunks_exact(p.width)) {
                    let out = &mut output[used.token * p.width..][..p.width];
                    out.iter_mut().zip(row).for_each(|(out, x)| *out += x * used.weight);
                }
                expert.matrix = Matrix::Gate;
                expert.index += 1;
            }
        }
    }
}
