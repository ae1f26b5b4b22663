//! The forward pass as a state machine without I/O. It requests rows of one tensor after the other, decodes them,
//! multiplies, and drops them.
//!
//! ```text
//! loop {
//!     match forward.next()? {
//!         Next::Read(request) => forward.supply(&file[request.offset..][..request.length])?,
//!         Next::Logits => use(forward.logits()),
//!         Next::Finished => break,
//!     }
//! }
//! ```

mod attention;
mod experts;
mod logits;

use super::architecture::Activation;
use super::experts::{Use, route};
use super::importance::Importance;
use super::math::{Gelu, rms_norm, silu};
use super::matmul::{Packed, Width, multiply};
use super::model::{Linear, Model, Slot, Step};
use crate::allocation::zeros;
use crate::error::{Code, Error, Result};
use crate::lanes::Lanes;
use crate::sort::sorted;
use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

/// Weights that are decoded at once, if a row is not longer.
const TILE: usize = 1 << 20;
/// Bytes between two rows of the embedding that are read together.
const GAP: usize = 1 << 18;
/// Logits that are in memory at once, if a row is not longer.
const LOGITS: usize = 1 << 24;

/// What a forward pass computes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The positions in each sequence whose logits are wanted.
    pub logits: Range<usize>,
    /// The length of the context, which selects the factors of RoPE in phi3 models. 0 is the longest sequence.
    pub context: usize,
    /// Whether keys and values are rounded to F16, in which llama.cpp's tools keep them by default.
    pub f16_cache: bool,
    /// Whether to accumulate an importance matrix.
    pub importance: bool,
    /// Whether the importance matrix has an entry for `output.weight` too.
    pub process_output: bool,
}

/// Bytes to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The index of the tensor in the file's header.
    pub tensor: usize,
    /// The first row, and the number of rows; rows are those of all dimensions but the first.
    pub rows: (usize, usize),
    /// Where the rows begin in the file.
    pub offset: u64,
    /// Their size in bytes.
    pub length: usize,
}

/// What [`Forward::next`] calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes, which [`Forward::supply`] takes.
    Read(Request),
    /// Logits are ready: [`Forward::logits`].
    Logits,
    /// Nothing: the pass is complete.
    Finished,
}

/// Logits of some tokens.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    /// The sequence and the position of each token.
    pub places: &'a [(usize, usize)],
    /// A row of the length of the vocabulary for each token.
    pub values: &'a [f32],
}

/// A forward pass of several sequences, with `L` lanes.
///
/// Memory is that of the activations of all tokens and of a tile of weights, whatever the size of the model.
pub struct Forward<L: Lanes = Width> {
    model: Arc<Model>,
    options: Options,
    tokens: Vec<u32>,
    sequences: Vec<Range<usize>>,
    /// Tokens and their places, sorted by token: embeddings are read once per token.
    embedded: Vec<(u32, usize)>,
    /// The sequence and position, and the place among all tokens, of each token whose logits are wanted.
    wanted: Vec<((usize, usize), usize)>,
    places: Vec<(usize, usize)>,
    step: usize,
    /// A norm or bias of the current step that has been read.
    vector: Option<Vec<f32>>,
    /// The bias of the last step, which needs a norm too.
    bias: Option<Vec<f32>>,
    factors: Option<Vec<f32>>,
    /// The next row of the current step.
    row: usize,
    /// The next token whose logits are computed.
    next_logits: usize,
    request: Option<Request>,
    buffers: [Vec<f32>; 9],
    tile: Vec<f32>,
    packed: Packed,
    gelu: Option<Gelu>,
    uses: Vec<Vec<Use>>,
    expert: Expert,
    logits: Vec<f32>,
    importance: Option<Importance>,
    lanes: std::marker::PhantomData<L>,
}

/// The expert that is being computed.
#[derive(Default)]
struct Expert {
    index: usize,
    matrix: Matrix,
    inputs: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    outputs: Vec<f32>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Matrix {
    #[default]
    Gate,
    Up,
    Down,
}

impl Forward {
    /// Starts a pass over sequences of tokens, each of which begins at position 0.
    ///
    /// # Errors
    /// [`Code::RANGE`] for a token that is not in the vocabulary, [`Code::NO_DATA`] if there are no tokens,
    /// [`Code::NO_MEMORY`].
    pub fn new(model: &Arc<Model>, sequences: &[&[u32]], options: Options) -> Result<Self> {
        Forward::with_lanes(model, sequences, options)
    }
}

impl<L: Lanes> Forward<L> {
    /// As [`Forward::new`], with a given number of lanes. It does not change any bit.
    ///
    /// # Errors
    /// As for [`Forward::new`].
    pub fn with_lanes(model: &Arc<Model>, sequences: &[&[u32]], options: Options) -> Result<Self> {
        let tokens = sequences.concat();
        if tokens.is_empty() {
            return Err(Error::new(Code::NO_DATA, "there are no tokens"));
        }
        if let Some(index) = tokens.iter().position(|token| *token as usize >= model.vocabulary) {
            let (token, count) = (tokens[index], model.vocabulary);
            let message = format!("token {index} is {token}, but the vocabulary has only {count} tokens");
            return Err(Error::new(Code::RANGE, message).with("index", index));
        }
        let pairs: Vec<_> = tokens.iter().copied().enumerate().map(|(place, token)| (token, place)).collect();
        let mut ranges = Vec::with_capacity(sequences.len());
        let mut wanted = Vec::new();
        let mut start = 0;
        for (index, sequence) in sequences.iter().enumerate() {
            ranges.push(start..start + sequence.len());
            let positions = options.logits.start.min(sequence.len())..options.logits.end.min(sequence.len());
            wanted.extend(positions.map(|position| ((index, position), start + position)));
            start += sequence.len();
        }
        let gelu = (model.parameters.architecture.activation == Activation::Gelu).then(Gelu::new);
        let importance = options.importance.then(Importance::default);
        Ok(Forward {
            model: Arc::clone(model),
            options,
            embedded: sorted(&pairs, Ord::cmp),
            tokens,
            sequences: ranges,
            wanted,
            places: Vec::new(),
            step: 0,
            vector: None,
            bias: None,
            factors: None,
            row: 0,
            next_logits: 0,
            request: None,
            buffers: Default::default(),
            tile: Vec::new(),
            packed: Packed::default(),
            gelu,
            uses: Vec::new(),
            expert: Expert::default(),
            logits: Vec::new(),
            importance,
            lanes: std::marker::PhantomData,
        })
    }

    /// Continues until bytes are needed, logits are ready or the pass is complete. If bytes are needed, it returns the
    /// same request until they have been supplied.
    ///
    /// # Errors
    /// [`Code::NO_MEMORY`].
    #[allow(clippy::should_implement_trait)] // it returns an error, and does not end with the last request
    pub fn next(&mut self) -> Result<Next> {
        let model = Arc::clone(&self.model);
        self.places.clear();
        while let Some(step) = model.steps.get(self.step) {
            if self.request.is_none() {
                self.request = self.wanted_by(step)?;
            }
            if let Some(request) = self.request {
                return Ok(Next::Read(request));
            }
            if self.finish(step)? {
                return Ok(Next::Logits);
            }
        }
        Ok(Next::Finished)
    }

    /// Takes the bytes of the last request.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for another number of bytes, [`Code::ARGUMENT`] without a request.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<()> {
        let model = Arc::clone(&self.model);
        let Some((request, step)) = self.request.zip(model.steps.get(self.step)) else {
            return Err(Error::new(Code::ARGUMENT, "the forward pass has not requested any bytes"));
        };
        let weight = &model.weights[request.tensor];
        let mut tile = take(&mut self.tile);
        tile.resize(request.rows.1 * weight.columns, 0.0);
        weight.codec.decode(bytes, &mut tile).map_err(|error| error.within(&format!("tensor '{}'", weight.name)))?;
        let done = self.apply(step, &request, &mut tile);
        self.tile = tile;
        self.request = None;
        done
    }

    /// The logits of the tokens for which [`Next::Logits`] was returned.
    pub fn logits(&self) -> Logits<'_> {
        Logits { places: &self.places, values: &self.logits }
    }

    /// The importance matrix, if the options ask for one. It is complete when the pass is.
    pub fn importance(&self) -> Option<&Importance> {
        self.importance.as_ref()
    }

    /// Continues an importance matrix of earlier sequences.
    pub fn continue_importance(&mut self, earlier: Importance) {
        self.importance = Some(earlier);
    }

    /// Ends the pass and returns the importance matrix.
    pub fn into_importance(self) -> Option<Importance> {
        self.importance
    }

    /// The number of steps that are done; [`Model::steps()`] is that of all.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The number of values of a row of a buffer.
    fn width(&self, slot: Slot) -> usize {
        let p = &self.model.parameters;
        match slot {
            Slot::Residual | Slot::Output => p.width,
            // The input of `attn_output` has the width of all heads.
            Slot::Input => p.width.max(p.heads * p.value_length),
            Slot::Queries => p.heads * p.key_length,
            Slot::Keys => p.key_heads * p.key_length,
            Slot::Values => p.key_heads * p.value_length,
            Slot::Gate | Slot::Up => p.hidden,
            Slot::Router => p.experts,
        }
    }

    /// Takes a buffer of `width` values per token out of the state.
    fn take(&mut self, slot: Slot, width: usize) -> Result<Vec<f32>> {
        let mut buffer = take(&mut self.buffers[slot as usize]);
        let len = self.tokens.len() * width;
        if buffer.capacity() < len {
            buffer = zeros(self.tokens.len() * self.width(slot))?;
        }
        buffer.resize(len, 0.0);
        Ok(buffer)
    }

    fn put(&mut self, slot: Slot, buffer: Vec<f32>) {
        self.buffers[slot as usize] = buffer;
    }

    /// The request for rows of a tensor, as many as fit in a tile and at most `limit`.
    fn rows(&self, tensor: usize, first: usize, limit: usize) -> Option<Request> {
        let weight = &self.model.weights[tensor];
        let count = (TILE / weight.columns.max(1)).max(1).min(limit);
        let offset = weight.offset + first as u64 * weight.row_bytes as u64;
        Some(Request { tensor, rows: (first, count), offset, length: count * weight.row_bytes })
    }

    /// The next bytes that a step needs; `None` if it has all.
    fn wanted_by(&mut self, step: &Step) -> Result<Option<Request>> {
        let model = Arc::clone(&self.model);
        Ok(match *step {
            Step::Embed => self.embedding_rows(),
            Step::Norm { weight, .. } if self.vector.is_none() => self.rows(weight, 0, 1),
            Step::Linear(Linear { bias: Some(bias), .. }) if self.vector.is_none() => self.rows(bias, 0, 1),
            Step::Linear(Linear { weight, ref to, .. }) => {
                // A tile ends where the rows of another buffer begin.
                let ends = to.iter().scan(0, |end, (_, rows)| {
                    *end += rows;
                    Some(*end)
                });
                ends.into_iter().find(|end| *end > self.row).and_then(|end| self.rows(weight, self.row, end - self.row))
            }
            Step::Attention { .. } if self.factors.is_none() => match self.chosen_factors() {
                Some(factors) => self.rows(factors, 0, 1),
                None => None,
            },
            Step::Experts { gate, up, down } => self.wanted_by_experts([gate, up, down])?,
            Step::Logits { norm, .. } if self.vector.is_none() => self.rows(norm, 0, 1),
            Step::Logits { bias: Some(bias), .. } if self.bias.is_none() => self.rows(bias, 0, 1),
            Step::Logits { weight, .. } if self.next_logits < self.wanted.len() && self.row < model.vocabulary => {
                self.rows(weight, self.row, model.vocabulary - self.row)
            }
            _ => None,
        })
    }

    /// The rows of the next tokens that are near each other in the embedding.
    fn embedding_rows(&self) -> Option<Request> {
        let first = self.embedded.get(self.row)?.0;
        let embedding = self.model.embedding();
        let weight = &self.model.weights[embedding];
        let gap = (GAP / weight.row_bytes.max(1)).max(1);
        let most = (TILE / weight.columns.max(1)).max(1);
        let mut last = first;
        for (token, _) in &self.embedded[self.row..] {
            if (token - last) as usize > gap || (token - first) as usize >= most {
                break;
            }
            last = *token;
        }
        self.rows(embedding, first as usize, (last - first) as usize + 1)
    }

    fn chosen_factors(&self) -> Option<usize> {
        let longest = self.sequences.iter().map(Range::len).max().unwrap_or(0);
        let context = if self.options.context == 0 { longest } else { self.options.context };
        self.model.factors[usize::from(context as u64 > self.model.parameters.original_context)]
    }

    /// Uses decoded rows.
    fn apply(&mut self, step: &Step, request: &Request, tile: &mut [f32]) -> Result<()> {
        let columns = self.model.weights[request.tensor].columns;
        match step {
            Step::Embed => {
                let p = &self.model.parameters;
                if p.architecture.scaled_embedding {
                    let factor = (p.width as f32).sqrt();
                    tile.iter_mut().for_each(|x| *x *= factor);
                }
                let mut residual = self.take(Slot::Residual, columns)?;
                let (first, count) = request.rows;
                while let Some((token, place)) = self.embedded.get(self.row) {
                    let row = *token as usize - first;
                    if row >= count {
                        break;
                    }
                    residual[place * columns..][..columns].copy_from_slice(&tile[row * columns..][..columns]);
                    self.row += 1;
                }
                self.put(Slot::Residual, residual);
            }
            Step::Linear(linear) if request.tensor == linear.weight => self.apply_linear(linear, request, tile)?,
            Step::Experts { .. } => self.apply_expert(request, tile),
            Step::Logits { weight, norm, .. } if request.tensor == *weight && self.vector.is_some() => {
                debug_assert_ne!(weight, norm);
                let inputs = take(&mut self.buffers[Slot::Input as usize]);
                let vocabulary = self.model.vocabulary;
                self.packed.pack(tile, columns);
                multiply::<L>(&inputs, &mut self.packed, &mut self.logits, vocabulary, request.rows.0);
                self.put(Slot::Input, inputs);
                self.row += request.rows.1;
                return Ok(());
            }
            Step::Logits { .. } if self.vector.is_some() => self.bias = Some(tile.to_vec()),
            Step::Attention { .. } => self.factors = Some(tile.to_vec()),
            _ => self.vector = Some(tile.to_vec()),
        }
        if matches!(step, Step::Logits { .. }) {
            self.prepare_logits()?;
        }
        Ok(())
    }

    fn apply_linear(&mut self, linear: &Linear, request: &Request, tile: &[f32]) -> Result<()> {
        let columns = self.model.weights[linear.weight].columns;
        let (mut slot, mut first) = (Slot::Output, self.row);
        for (to, rows) in &linear.to {
            slot = *to;
            if first < *rows {
                break;
            }
            first -= rows;
        }
        let inputs = self.take(linear.from, columns)?;
        let stride = self.width(slot);
        let mut out = self.take(slot, stride)?;
        self.packed.pack(tile, columns);
        multiply::<L>(&inputs, &mut self.packed, &mut out, stride, first);
        self.put(slot, out);
        self.put(linear.from, inputs);
        self.row += request.rows.1;
        Ok(())
    }

    /// Completes a step whose bytes have all been supplied. Returns whether logits are ready.
    fn finish(&mut self, step: &Step) -> Result<bool> {
        match *step {
            Step::Embed => {}
            Step::Norm { from, to, width, .. } => {
                let weight = self.vector.take().unwrap_or_default();
                self.normalize(&weight, from, to, width)?;
            }
            Step::Linear(ref linear) => {
                let bias = self.vector.take();
                self.finish_linear(linear, bias.as_deref())?;
            }
            Step::Attention { layer } => self.attention(layer)?,
            Step::Activate => {
                let width = self.width(Slot::Gate);
                let (mut gate, up) = (self.take(Slot::Gate, width)?, self.take(Slot::Up, width)?);
                activate(self.gelu.as_ref(), &mut gate, &up);
                self.put(Slot::Gate, gate);
                self.put(Slot::Up, up);
            }
            Step::Route => {
                let model = Arc::clone(&self.model);
                let p = &model.parameters;
                let mut logits = self.take(Slot::Router, p.experts)?;
                self.uses = vec![Vec::new(); p.experts];
                // Each sequence by itself, so that the order of sums does not depend on the others.
                for range in &self.sequences {
                    let own = &mut logits[range.start * p.experts..range.end * p.experts];
                    route(own, range.start, p.experts_used, &mut self.uses);
                }
                self.put(Slot::Router, logits);
                self.expert = Expert::default();
                let mut output = self.take(Slot::Output, p.width)?;
                output.fill(0.0);
                self.put(Slot::Output, output);
            }
            Step::Experts { .. } => {}
            Step::Add => {
                let width = self.width(Slot::Residual);
                let (mut residual, output) = (self.take(Slot::Residual, width)?, self.take(Slot::Output, width)?);
                residual.iter_mut().zip(&output).for_each(|(x, y)| *x += y);
                self.put(Slot::Residual, residual);
                self.put(Slot::Output, output);
            }
            Step::Logits { .. } => {
                if self.next_logits < self.wanted.len() {
                    self.finish_logits();
                    self.prepare_logits()?;
                    return Ok(true);
                }
                self.logits = Vec::new();
            }
        }
        self.row = 0;
        self.vector = None;
        self.step += 1;
        Ok(false)
    }

    fn finish_linear(&mut self, linear: &Linear, bias: Option<&[f32]>) -> Result<()> {
        let mut first = 0;
        for (slot, rows) in &linear.to {
            if let Some(bias) = bias {
                let mut out = self.take(*slot, *rows)?;
                for row in out.chunks_exact_mut(*rows) {
                    row.iter_mut().zip(&bias[first..]).for_each(|(x, bias)| *x += bias);
                }
                self.put(*slot, out);
            }
            first += rows;
        }
        let model = Arc::clone(&self.model);
        let weight = &model.weights[linear.weight];
        let inputs = self.take(linear.from, weight.columns)?;
        if let Some(importance) = &mut self.importance {
            importance.add(&weight.name, weight.columns, [0, 1], &inputs);
        }
        self.put(linear.from, inputs);
        Ok(())
    }

    fn normalize(&mut self, weight: &[f32], from: Slot, to: Slot, width: usize) -> Result<()> {
        let values = self.width(from);
        let input = self.take(from, values)?;
        let mut out = if from == to { zeros(input.len())? } else { self.take(to, values)? };
        let epsilon = self.model.parameters.epsilon;
        for (row, out) in input.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            rms_norm(row, weight, epsilon, out);
        }
        if from != to {
            self.put(from, input);
        }
        self.put(to, out);
        Ok(())
    }
}

fn activate(gelu: Option<&Gelu>, gate: &mut [f32], up: &[f32]) {
    match gelu {
        None => gate.iter_mut().zip(up).for_each(|(x, up)| *x = silu(*x) * up),
        Some(gelu) => gate.iter_mut().zip(up).for_each(|(x, up)| *x = gelu.of(*x) * up),
    }
}
