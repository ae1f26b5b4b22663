//! Chooses the type of each tensor, with the reason.

use super::category::{Category, KeptNames, PER_LAYER_EMBEDDING};
use super::diffusion::{self, DiffusionMix};
use super::fallback::fitting;
use super::hparams::HParams;
use super::mix::{Context, section};
use super::options::Options;
use super::preset::Preset;
use crate::container::gguf::{Tensor, TensorType};
use crate::error::{Code, Error, Result};
use crate::interning::{Interner, Name};

/// The type of a tensor, with the reason.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SelectedDtype {
    pub dtype: TensorType,
    pub why: Name,
}

/// Chooses types in the order in which tensors are written; some rules depend on a tensor's index within its category.
#[derive(Debug)]
pub(super) struct DtypeSelector {
    pub preset: &'static Preset,
    pub options: Options,
    pub hparams: HParams,
    pub has_importance: bool,
    kept: KeptNames,
    tied: bool,
    value_tensors: u64,
    counts: Counts,
    is_diffusion: bool,
    image: Option<DiffusionMix>,
    reasons: Interner<str>,
}

/// What the rules need to know of a tensor's name.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameFacts<'a> {
    /// The name in the output.
    pub name: &'a str,
    pub category: Category,
    /// See [`sorted_layer`](super::tensor_names::sorted_layer).
    pub layer: i64,
}

/// The number of tensors per category so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    values: u64,
    down: u64,
    gate: u64,
    up: u64,
}

impl Counts {
    fn of(&mut self, category: Category) -> Option<&mut u64> {
        match category {
            Category::FfnDown => Some(&mut self.down),
            Category::FfnGate => Some(&mut self.gate),
            Category::FfnUp => Some(&mut self.up),
            _ if category.is_values() => Some(&mut self.values),
            _ => None,
        }
    }
}

impl DtypeSelector {
    /// A selector for tensors that are still to be [counted](Self::count).
    pub fn new(preset: &'static Preset, options: Options, hparams: HParams, has_importance: bool) -> Self {
        let architecture = hparams.architecture.as_str();
        DtypeSelector {
            kept: KeptNames::of(architecture),
            is_diffusion: diffusion::is_diffusion(architecture),
            image: DiffusionMix::of(architecture, preset.ftype),
            preset,
            options,
            hparams,
            has_importance,
            tied: true,
            value_tensors: 0,
            counts: Counts::default(),
            reasons: Interner::default(),
        }
    }

    /// Counts a tensor that will be written. All are counted before the first type is chosen.
    pub fn count(&mut self, category: Category) {
        self.tied &= category != Category::Output;
        self.value_tensors += u64::from(category.is_values());
    }

    /// Whether it is an image model, whose tensors keep trailing dimensions of one.
    pub fn is_diffusion(&self) -> bool {
        self.is_diffusion
    }

    /// Chooses the type of one tensor.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] if no type fits the rows, [`Code::MALFORMED`] if a rule needs the layer of a tensor whose
    /// name does not have one.
    pub fn choose(&mut self, tensor: &Tensor, facts: NameFacts<'_>) -> Result<SelectedDtype> {
        let NameFacts { name, category, .. } = facts;
        let Some(default) = self.preset.default_type else { return self.decided(tensor.dtype, "copied") };
        if let Some(why) = self.kept(tensor, name) {
            return self.decided(tensor.dtype, why);
        }
        if self.is_diffusion {
            diffusion::check_layout(&self.hparams.architecture, name)?;
        }
        if let (Some(dtype), Category::TokenEmbedding) = (self.options.embedding_type, category) {
            // The per-layer table is large, so a pattern can override this.
            if name != PER_LAYER_EMBEDDING || self.options.pattern_type(name).is_none() {
                return self.demanded(tensor, dtype, "token embedding type set by the recipe");
            }
        }
        if let (Some(dtype), Category::Output) = (self.options.output_type, category) {
            return self.demanded(tensor, dtype, "output type set by the recipe");
        }
        if !default.is_quantized() {
            return self.decided(default, "the preset's default type");
        }
        let (dtype, why) = match self.options.pattern_type(name) {
            Some((dtype, why)) => (dtype, why.clone()),
            None => {
                let (dtype, why) = self.by_rules(tensor, facts, default)?;
                (dtype, self.reasons.intern(why))
            }
        };
        let fitted = match self.image {
            Some(_) => diffusion::fitting(dtype, tensor.row_length()),
            None => fitting(dtype, tensor.row_length())?,
        };
        if fitted == dtype {
            return Ok(SelectedDtype { dtype, why });
        }
        let (wanted, weights) = (dtype.name, dtype.weights);
        let (row, got) = (tensor.row_length(), fitted.name);
        let why = format!("{why}; rows of {row} are not a multiple of {weights}, so {got} replaces {wanted}");
        self.decided(fitted, &why)
    }

    /// The type by the preset's rules.
    fn by_rules(
        &mut self,
        tensor: &Tensor,
        facts: NameFacts<'_>,
        default: TensorType,
    ) -> Result<(TensorType, &'static str)> {
        if self.options.recipe.pure || self.preset.uniform {
            return Ok((default, "pure: the preset's default type for every tensor"));
        }
        match &mut self.image {
            Some(image) => Ok(image.choose(self.preset.ftype, facts.name, default)),
            None => self.mixed(tensor, facts, default),
        }
    }

    fn decided(&mut self, dtype: TensorType, why: &str) -> Result<SelectedDtype> {
        Ok(SelectedDtype { dtype, why: self.reasons.intern(why) })
    }

    fn kept(&self, tensor: &Tensor, name: &str) -> Option<&'static str> {
        if self.options.recipe.leave_output_tensor && name == "output.weight" {
            return Some("the recipe keeps the output tensor");
        }
        self.kept.reason(tensor, name)
    }

    /// There is no fallback for a type set by the recipe: like llama-quantize, fail if rows are not whole blocks.
    fn demanded(&mut self, tensor: &Tensor, dtype: TensorType, why: &str) -> Result<SelectedDtype> {
        let row = tensor.row_length();
        if !row.is_multiple_of(dtype.weights) {
            let (name, weights) = (dtype.name, dtype.weights);
            let message = format!("{why}: {name} has blocks of {weights} weights, but the rows have {row}");
            return Err(Error::new(Code::LENGTH, message).with("actual", row).with("expected", weights));
        }
        self.decided(dtype, why)
    }

    fn mixed(
        &mut self,
        tensor: &Tensor,
        NameFacts { name, category, layer }: NameFacts<'_>,
        default: TensorType,
    ) -> Result<(TensorType, &'static str)> {
        let count = self.counts.of(category).map_or(0, |count| *count);
        let mut context = Context {
            ftype: self.preset.ftype,
            category,
            name,
            tensor,
            hparams: &self.hparams,
            has_importance: self.has_importance,
            tied: self.tied,
            index: count,
            of: if category.is_values() { self.value_tensors } else { self.hparams.layers },
            dtype: default,
        };
        let section = section(&context);
        if section.layer_from_name && self.hparams.experts > 1 {
            context.index = layer_of_expert(name, layer, context.of)?;
        }
        if let (true, Some(count)) = (section.counts, self.counts.of(category)) {
            *count += 1;
        }
        if section.is_output() {
            // Only tied embeddings get here; the output itself is handled above.
            if let Some(dtype) = self.options.output_type {
                return Ok((dtype, "tied embeddings with the output type set by the recipe"));
            }
        }
        let (dtype, why) = section.choose(context);
        Ok((dtype, why.unwrap_or("the preset's default type")))
    }
}

fn layer_of_expert(name: &str, layer: i64, layers: u64) -> Result<u64> {
    let layer = u64::try_from(layer).ok().filter(|layer| *layer < layers);
    layer.ok_or_else(|| {
        let message = format!("the rules need the layer of '{name}', but its name has no layer below {layers}");
        Error::new(Code::MALFORMED, message).with("tensor", name).with("layers", layers)
    })
}
