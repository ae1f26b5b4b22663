//! A model as a list of steps: its tensors, checked against the hyperparameters, in the order in which they are needed.

use super::parameters::Parameters;
use crate::container::gguf::Header;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::interning::Name;
use std::collections::HashMap;

/// A model that can be run: what the forward pass needs to know of its file.
#[derive(Debug)]
pub struct Model {
    /// The hyperparameters.
    pub parameters: Parameters,
    pub(super) weights: Vec<Weight>,
    pub(super) steps: Vec<Step>,
    embedding: usize,
    pub(super) vocabulary: usize,
    /// Factors of RoPE's angles: those of all contexts, or of short and of long ones.
    pub(super) factors: [Option<usize>; 2],
}

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Weight {
    pub name: Name,
    pub codec: &'static Codec,
    pub columns: usize,
    /// The product of all dimensions but the first.
    pub rows: usize,
    pub offset: u64,
    pub row_bytes: usize,
}

/// A buffer of activations: a row of some length for each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The residual stream.
    Residual,
    /// The input of the next linear layers.
    Input,
    /// The output of attention or of the feed-forward network.
    Output,
    Queries,
    Keys,
    Values,
    Gate,
    Up,
    /// The logits of the router.
    Router,
}

/// A linear layer: a matrix and maybe a bias. The indices are those of `Model::weights`.
#[derive(Debug)]
pub(super) struct Linear {
    pub weight: usize,
    pub bias: Option<usize>,
    pub from: Slot,
    /// Where consecutive rows of the product go.
    pub to: Vec<(Slot, usize)>,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Reads the rows of the tokens.
    Embed,
    /// Normalizes each `width` values.
    Norm {
        weight: usize,
        from: Slot,
        to: Slot,
        width: usize,
    },
    Linear(Linear),
    /// RoPE and attention, from queries, keys and values to the output.
    Attention {
        layer: usize,
    },
    /// The gate's activation times the other half, in the gate's place.
    Activate,
    /// Chooses experts for each token.
    Route,
    /// The feed-forward networks of the experts.
    Experts {
        gate: usize,
        up: usize,
        down: usize,
    },
    /// Adds the output to the residual stream.
    Add,
    /// The last norm and the output matrix, for the tokens whose logits are wanted.
    Logits {
        norm: usize,
        weight: usize,
        bias: Option<usize>,
    },
}

impl Model {
    /// Checks a model and lists its steps.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for an architecture that is not in the table, a tensor that it does not have, or a dtype
    /// that cannot be decoded; [`Code::MALFORMED`] for a missing tensor, or one whose shape does not follow from the
    /// metadata.
    pub fn new(header: &Header) -> Result<Model> {
        let parameters = Parameters::read(header)?;
        let mut builder = Builder::new(header)?;
        let (steps, embedding) = builder.steps(&parameters)?;
        let vocabulary = builder.weights[embedding].rows;
        let factors = builder.factors(&parameters)?;
        builder.refuse_rest(parameters.architecture.name)?;
        Ok(Model { parameters, weights: builder.weights, steps, embedding, vocabulary, factors })
    }

    /// The index of the embedding.
    pub(super) fn embedding(&self) -> usize {
        self.embedding
    }

    /// The number of tokens of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The number of steps of a forward pass.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The name of a tensor, by its index in the file's header.
    pub fn tensor_name(&self, index: usize) -> &str {
        self.weights.get(index).map_or("", |weight| weight.name.as_str())
    }

    /// The bytes of activations that a forward pass has in memory for each token.
    pub fn activation_bytes(&self) -> usize {
        let p = &self.parameters;
        let heads = p.heads * (p.key_length + p.value_length) + p.key_heads * (p.key_length + p.value_length);
        // An expert has inputs, gate, up and outputs of its own, at most for all tokens.
        let hidden = p.width * 2 + p.hidden * 2 + p.experts;
        size_of::<f32>() * (3 * p.width + heads + hidden)
    }
}

struct Builder<'a> {
    header: &'a Header,
    indices: HashMap<&'a str, usize>,
    weights: Vec<Weight>,
    used: Vec<bool>,
}

impl<'a> Builder<'a> {
    fn new(header: &'a Header) -> Result<Builder<'a>> {
        let mut weights = Vec::with_capacity(header.tensors().len());
        let mut indices = HashMap::with_capacity(header.tensors().len());
        for (index, tensor) in header.tensors().iter().enumerate() {
            let codec = Codec::by_id(tensor.dtype.id).filter(|_| !tensor.dtype.is_foreign()).ok_or_else(|| {
                let message =
                    format!("tensor '{}' has dtype {}, which cannot be decoded", tensor.name, tensor.dtype.name);
                Error::new(Code::UNSUPPORTED, message).with("tensor", tensor.name.as_str())
            })?;
            let too_large = |_| Error::new(Code::TOO_LARGE, format!("tensor '{}' is too large", tensor.name));
            let columns = usize::try_from(tensor.row_length()).map_err(too_large)?;
            let rows = usize::try_from(tensor.rows()).map_err(too_large)?;
            let row_bytes = codec.encoded_len(columns, columns)?;
            weights.push(Weight { name: tensor.name.clone(), codec, columns, rows, offset: tensor.offset, row_bytes });
            indices.insert(tensor.name.as_str(), index);
        }
        let used = vec![false; weights.len()];
        Ok(Builder { header, indices, weights, used })
    }

    /// A tensor of this shape, if there is one.
    fn maybe(&mut self, name: &str, shape: &[usize]) -> Result<Option<usize>> {
        let Some(&index) = self.indices.get(name) else { return Ok(None) };
        let tensor = &self.header.tensors()[index];
        let fits = |dimension: usize| tensor.dimension(dimension) == shape.get(dimension).copied().unwrap_or(1) as u64;
        if !(0..tensor.shape.len().max(shape.len())).all(fits) {
            let message =
                format!("tensor '{name}' has shape {:?}, but the metadata calls for {shape:?}", &*tensor.shape);
            return Err(Error::new(Code::MALFORMED, message).with("tensor", name));
        }
        self.used[index] = true;
        Ok(Some(index))
    }

    fn needed(&mut self, name: &str, shape: &[usize]) -> Result<usize> {
        self.maybe(name, shape)?.ok_or_else(|| {
            Error::new(Code::MALFORMED, format!("the model has no tensor '{name}'")).with("tensor", name)
        })
    }

    fn has(&self, name: &str) -> bool {
        self.indices.contains_key(name)
    }

    /// A linear layer. A bias may be there if `biased`.
    fn linear(&mut self, name: &str, columns: usize, from: Slot, to: &[(Slot, usize)], biased: bool) -> Result<Step> {
        let rows = to.iter().map(|(_, rows)| rows).sum();
        let weight = self.needed(&format!("{name}.weight"), &[columns, rows])?;
        let bias = if biased { self.maybe(&format!("{name}.bias"), &[rows])? } else { None };
        Ok(Step::Linear(Linear { weight, bias, from, to: to.to_vec() }))
    }

    fn steps(&mut self, p: &Parameters) -> Result<(Vec<Step>, usize)> {
        let architecture = p.architecture;
        let embedding = self.embedding(p)?;
        let vocabulary = self.weights[embedding].rows;
        let mut steps = vec![Step::Embed];
        for layer in 0..p.layers {
            self.attention(p, layer, &mut steps)?;
            self.feed_forward(p, layer, &mut steps)?;
        }
        let norm = self.needed("output_norm.weight", &[p.width])?;
        let own = if architecture.own_output { self.maybe("output.weight", &[p.width, vocabulary])? } else { None };
        let bias = match architecture.biases.contains(&"output") {
            true => self.maybe("output.bias", &[vocabulary])?,
            false => None,
        };
        steps.push(Step::Logits { norm, weight: own.unwrap_or(embedding), bias });
        Ok((steps, embedding))
    }

    /// The embedding, whose number of rows is that of the vocabulary.
    fn embedding(&mut self, p: &Parameters) -> Result<usize> {
        const NAME: &str = "token_embd.weight";
        let rows = self.indices.get(NAME).map_or(0, |index| self.weights[*index].rows);
        self.needed(NAME, &[p.width, rows])
    }

    fn attention(&mut self, p: &Parameters, layer: usize, steps: &mut Vec<Step>) -> Result<()> {
        let architecture = p.architecture;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let from = self.norm_before(p, &name("attn_norm"), steps)?;
        let parts = [
            (Slot::Queries, p.heads * p.key_length),
            (Slot::Keys, p.key_heads * p.key_length),
            (Slot::Values, p.key_heads * p.value_length),
        ];
        if self.has(&name("attn_qkv.weight")) {
            steps.push(self.linear(&name("attn_qkv"), p.width, from, &parts, true)?);
        } else {
            for (part, to) in ["attn_q", "attn_k", "attn_v"].iter().zip(parts) {
                steps.push(self.linear(&name(part), p.width, from, &[to], true)?);
            }
        }
        if let Some([queries, keys]) = p.head_norm_widths() {
            for (part, slot, width) in [("attn_q_norm", Slot::Queries, queries), ("attn_k_norm", Slot::Keys, keys)] {
                let weight = self.needed(&name(&format!("{part}.weight")), &[width])?;
                steps.push(Step::Norm { weight, from: slot, to: slot, width });
            }
        }
        steps.push(Step::Attention { layer });
        let biased = architecture.biases.contains(&"attn_output");
        let (columns, to) = (p.heads * p.value_length, [(Slot::Output, p.width)]);
        steps.push(self.linear(&name("attn_output"), columns, Slot::Input, &to, biased)?);
        self.norm_after(p, &name("post_attention_norm"), steps)?;
        steps.push(Step::Add);
        Ok(())
    }

    fn feed_forward(&mut self, p: &Parameters, layer: usize, steps: &mut Vec<Step>) -> Result<()> {
        let architecture = p.architecture;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let biased = |part: &str| architecture.biases.contains(&part);
        let from = self.norm_before(p, &name("ffn_norm"), steps)?;
        if p.experts > 0 {
            steps.push(self.linear(&name("ffn_gate_inp"), p.width, from, &[(Slot::Router, p.experts)], false)?);
            steps.push(Step::Route);
            let wide = [p.width, p.hidden, p.experts];
            let gate = self.needed(&name("ffn_gate_exps.weight"), &wide)?;
            let up = self.needed(&name("ffn_up_exps.weight"), &wide)?;
            let down = self.needed(&name("ffn_down_exps.weight"), &[p.hidden, p.width, p.experts])?;
            steps.push(Step::Experts { gate, up, down });
        } else {
            let (gate, up) = ((Slot::Gate, p.hidden), (Slot::Up, p.hidden));
            if architecture.fused_gate {
                steps.push(self.linear(&name("ffn_up"), p.width, from, &[gate, up], false)?);
            } else {
                steps.push(self.linear(&name("ffn_gate"), p.width, from, &[gate], biased("ffn_gate"))?);
                steps.push(self.linear(&name("ffn_up"), p.width, from, &[up], biased("ffn_up"))?);
            }
            steps.push(Step::Activate);
            let to = [(Slot::Output, p.width)];
            steps.push(self.linear(&name("ffn_down"), p.hidden, Slot::Gate, &to, biased("ffn_down"))?);
        }
        self.norm_after(p, &name("post_ffw_norm"), steps)?;
        steps.push(Step::Add);
        Ok(())
    }

    /// Where the linear layers read: the normalized residual stream, or the stream itself.
    fn norm_before(&mut self, p: &Parameters, name: &str, steps: &mut Vec<Step>) -> Result<Slot> {
        if !p.architecture.norm_before {
            return Ok(Slot::Residual);
        }
        let weight = self.needed(&format!("{name}.weight"), &[p.width])?;
        steps.push(Step::Norm { weight, from: Slot::Residual, to: Slot::Input, width: p.width });
        Ok(Slot::Input)
    }

    fn norm_after(&mut self, p: &Parameters, name: &str, steps: &mut Vec<Step>) -> Result<()> {
        if p.architecture.norm_after {
            let weight = self.needed(&format!("{name}.weight"), &[p.width])?;
            steps.push(Step::Norm { weight, from: Slot::Output, to: Slot::Output, width: p.width });
        }
        Ok(())
    }

    /// The factors of RoPE's angles, of which llama models have one list and phi3 models two.
    fn factors(&mut self, p: &Parameters) -> Result<[Option<usize>; 2]> {
        let pairs = [p.rope.dimensions / 2];
        Ok(match p.architecture.name {
            "llama" => [self.maybe("rope_freqs.weight", &pairs)?; 2],
            "phi3" => {
                [self.maybe("rope_factors_short.weight", &pairs)?, self.maybe("rope_factors_long.weight", &pairs)?]
            }
            _ => [None; 2],
        })
    }

    /// Rejects tensors that no step reads: running the model without them would give other results.
    fn refuse_rest(&self, architecture: &str) -> Result<()> {
        let Some(index) = self.used.iter().position(|used| !used) else { return Ok(()) };
        let name = self.weights[index].name.as_str();
        let message = format!("tensor '{name}' is not known in models of architecture '{architecture}'");
        Err(Error::new(Code::UNSUPPORTED, message).with("tensor", name))
    }
}
