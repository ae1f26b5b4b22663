//! Planning the conversion of a safetensors model with any preset.
//!
//! The two halves can run in different instances of the engine: [`ImportSpec::run`] needs the folder, [`Imported::plan`]
//! needs only the serialized result.

use super::bnb;
use super::folder::{Float, Folder};
use crate::container::gguf::{Header, HeaderAssembler, TensorType};
use crate::container::imatrix::ImportanceMatrix;
use crate::error::{Code, Error, Result};
use crate::recipe::{BnbRequest, Plan, Planner, Recipe};
use crate::serialization::{Reader, Writer};
use std::sync::Arc;

const IMPORT: [u8; 4] = *b"QPIM";
const VERSION: u8 = 1;

/// The presets that only convert: the results of `convert_hf_to_gguf.py --outtype`.
const FLOATS: &[TensorType] = &[TensorType::F32, TensorType::F16, TensorType::BF16];

/// What a recipe needs from a folder. It is the same for most recipes, and importing a language model takes as long as
/// reading its vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportSpec {
    /// The model's header as GGUF.
    Gguf(GgufImport),
    /// A plan for bitsandbytes' formats.
    Bnb(BnbRequest),
}

/// How a model is imported as GGUF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufImport {
    float: Float,
    /// Whether the result is written as it is, without quantizing it.
    pass_through: bool,
    pre_tokenizer: Option<String>,
    /// Whether to write a plain container for any model.
    plain: bool,
}

/// The result of an [`ImportSpec`].
#[derive(Clone, Debug)]
pub enum Imported {
    /// The model's header as GGUF; whether it is written as it is.
    Gguf {
        /// The header; tensor offsets refer to the safetensors files.
        header: Arc<Header>,
        /// Whether the result is written as it is, without quantizing it.
        pass_through: bool,
    },
    /// A plan for bitsandbytes' formats.
    Bnb(Box<Plan>),
}

impl ImportSpec {
    /// F32, F16 and BF16 convert a model to that dtype. Every other GGUF preset quantizes the result of a conversion that
    /// keeps each tensor's own precision, so nothing is rounded twice.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] for options that the preset does not have.
    pub fn from_recipe(recipe: &Recipe, importance: bool) -> Result<ImportSpec> {
        if let Some(request) = BnbRequest::of(recipe, importance)? {
            return Ok(ImportSpec::Bnb(request));
        }
        let (pre_tokenizer, plain) = (recipe.pre_tokenizer.clone(), recipe.plain);
        Ok(ImportSpec::Gguf(match FLOATS.iter().find(|dtype| dtype.name.eq_ignore_ascii_case(&recipe.preset)) {
            Some(dtype) if asks_no_more(recipe) => {
                GgufImport { float: Float::Of(*dtype), pass_through: true, pre_tokenizer, plain }
            }
            _ => GgufImport { float: Float::Source, pass_through: false, pre_tokenizer, plain },
        }))
    }

    /// Imports the model.
    ///
    /// # Errors
    /// As for [`Folder::to_gguf`], [`Folder::to_plain`] and planning bitsandbytes' formats; [`Code::NO_DATA`] for a model
    /// without tensors.
    pub fn run(&self, folder: &Folder) -> Result<Imported> {
        let GgufImport { float, pass_through, pre_tokenizer, plain } = match self {
            ImportSpec::Bnb(request) => {
                return Ok(Imported::Bnb(Box::new(bnb::plan(folder, request)?)));
            }
            ImportSpec::Gguf(import) => import,
        };
        if folder.tensors().is_empty() {
            return Err(Error::new(Code::NO_DATA, "the model has no tensors"));
        }
        let header =
            if *plain { folder.to_plain(*float)? } else { folder.to_gguf(*float, pre_tokenizer.as_deref())? };
        Ok(Imported::Gguf { header: Arc::new(header), pass_through: *pass_through })
    }

    /// Serializes the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(IMPORT, VERSION);
        match self {
            ImportSpec::Gguf(GgufImport { float, pass_through, pre_tokenizer, plain }) => {
                let dtype = match float {
                    Float::Source => None,
                    Float::Of(dtype) => Some(dtype.index()),
                };
                out.u8(0).option(dtype, |out, dtype| {
                    out.u8(dtype);
                });
                out.bool(*pass_through).bool(*plain).option(pre_tokenizer.as_ref(), |out, name| {
                    out.text(name);
                });
            }
            ImportSpec::Bnb(BnbRequest { dtype, double_quant, excluded }) => {
                out.u8(1).u8(dtype.index()).bool(*double_quant).count(excluded.len());
                excluded.iter().for_each(|module| {
                    out.text(module);
                });
            }
        }
        out.finish()
    }

    /// Reads a serialized request.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<ImportSpec> {
        let mut input = Reader::new(bytes, IMPORT, VERSION, "an import")?;
        let import = if input.choice(&[false, true], "kind of import")? {
            let (dtype, double_quant, mut excluded) = (tensor_type(&mut input)?, input.bool()?, Vec::new());
            for _ in 0..input.count()? {
                excluded.push(input.text()?);
            }
            ImportSpec::Bnb(BnbRequest { dtype, double_quant, excluded })
        } else {
            let float = input.option(tensor_type)?.map_or(Float::Source, Float::Of);
            let (pass_through, plain, pre_tokenizer) = (input.bool()?, input.bool()?, input.option(Reader::text)?);
            ImportSpec::Gguf(GgufImport { float, pass_through, pre_tokenizer, plain })
        };
        input.finish()?;
        Ok(import)
    }
}

fn tensor_type(input: &mut Reader<'_>) -> Result<TensorType> {
    let index = input.u8()?;
    TensorType::at(index).ok_or_else(|| input.malformed(format!("tensor type {index}")))
}

impl Imported {
    /// Plans the recipe that was imported for.
    ///
    /// # Errors
    /// As for [`plan`](crate::recipe::plan).
    pub fn plan(&self, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
        self.planner(recipe, importance)?.run()
    }

    /// Begins the plan of the recipe that was imported for.
    ///
    /// # Errors
    /// As for [`Planner::new`].
    pub fn planner(&self, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Planner<'static>> {
        match self {
            Imported::Gguf { header, pass_through: true } => Planner::pass_through(header, recipe),
            Imported::Gguf { header, pass_through: false } => Planner::new(Arc::clone(header), recipe, importance),
            Imported::Bnb(plan) => Ok(Planner::planned(Plan::clone(plan))),
        }
    }

    /// The number of pieces of the serialized result.
    pub fn pieces(&self) -> usize {
        match self {
            Imported::Gguf { header, .. } => header.pieces(),
            Imported::Bnb(_) => 1,
        }
    }

    /// Serializes a piece of the result. [`ImportAssembler`] reads them.
    pub fn piece(&self, index: usize) -> Vec<u8> {
        match self {
            Imported::Gguf { header, .. } => header.piece(index),
            Imported::Bnb(plan) => plan.bnb_to_bytes().unwrap_or_default(),
        }
    }
}

/// Reads the result of an import from its serialized pieces in order.
#[derive(Debug)]
pub enum ImportAssembler {
    /// A header that is not complete.
    Gguf(Box<HeaderAssembler>, GgufImport),
    /// The result.
    Complete(Imported),
}

impl ImportAssembler {
    /// Reads the first piece.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn new(import: &ImportSpec, piece: &[u8]) -> Result<ImportAssembler> {
        Ok(match import {
            ImportSpec::Gguf(import) => {
                ImportAssembler::Gguf(Box::new(HeaderAssembler::new(piece)?), import.clone()).checked()
            }
            ImportSpec::Bnb(_) => ImportAssembler::Complete(Imported::Bnb(Box::new(Plan::bnb_from_bytes(piece)?))),
        })
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// As for [`ImportAssembler::new`]; [`Code::ARGUMENT`] if the result is complete.
    pub fn with_piece(self, piece: &[u8]) -> Result<ImportAssembler> {
        let ImportAssembler::Gguf(mut header, import) = self else {
            return Err(Error::new(Code::ARGUMENT, "the import is complete"));
        };
        header.add(piece)?;
        Ok(ImportAssembler::Gguf(header, import).checked())
    }

    fn checked(self) -> ImportAssembler {
        match self {
            ImportAssembler::Gguf(header, GgufImport { pass_through, .. }) if header.is_complete() => {
                ImportAssembler::Complete(Imported::Gguf { header: Arc::new(header.finish()), pass_through })
            }
            other => other,
        }
    }
}

/// Plans the conversion of a model to GGUF or to bitsandbytes' formats, combining [`ImportSpec::run`] and [`Imported::plan`].
///
/// # Errors
/// As for [`ImportSpec::from_recipe`], [`ImportSpec::run`] and [`Imported::plan`].
pub fn plan(folder: &Folder, recipe: &Recipe, importance: Option<&ImportanceMatrix>) -> Result<Plan> {
    ImportSpec::from_recipe(recipe, importance.is_some())?.run(folder)?.plan(recipe, importance)
}

/// Whether the recipe consists only of a preset, splitting, a pre-tokenizer and the plain option.
fn asks_no_more(recipe: &Recipe) -> bool {
    let Recipe { preset, dry_run, split_max_size, pre_tokenizer, plain, .. } = recipe.clone();
    *recipe == Recipe { preset, dry_run, split_max_size, pre_tokenizer, plain, ..Recipe::default() }
}
