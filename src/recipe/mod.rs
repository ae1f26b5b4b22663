//! Presets and rules as data, and the planner, which turns a header and a recipe into the plan of a conversion.
//!
//! ```text
//! preset         the presets (Q4_K_M ...): names, numbers and default types
//! category       categories of tensors by name; tensors that are never quantized
//! name_table     tables of names and parts of names, searched in one pass over a name
//! mix            the rules of all presets: which category gets which type under which conditions, and why
//! fallback       fallback types for rows that are not a multiple of the block size
//! bnb            the presets of bitsandbytes' formats, which do not produce GGUF
//! reader_limits  limits of GGUF readers on names and dimensions
//! hparams        the properties of a model that rules depend on: architecture, layers, heads, experts
//! options        the options of a recipe, with llama-quantize's names
//! planner        header + recipe + importance -> each tensor's type, position and reason, and the final header
//! split          output to several files
//! pass_through   writes a header imported from another container without quantizing
//! tile           one tile (whole rows or part of one): decode, encode, check, measure
//! row_sample     the rows of a tensor that an analysis looks at
//! row_errors     the error of each format on some rows, and the difference between two tensors
//! ```
//!
//! Every decision and every byte of a plan equals that of llama.cpp's `llama_model_quantize` for the same input. The
//! rules are those of its `llama-quant.cpp` (MIT), expressed as tables. There is one difference: for files with an
//! alignment other than 32, upstream still places tensors at multiples of 32, and its own loader rejects the result;
//! here they are placed according to the metadata.

mod best_mix;
mod bnb;
mod category;
mod diffusion;
mod dtype_selection;
mod fallback;
mod hparams;
mod metadata;
mod mix;
mod name_table;
mod options;
mod pass_through;
mod plan;
mod planner;
mod preset;
mod reader_limits;
mod row_errors;
mod row_sample;
mod serialization;
mod split;
mod tensor_names;
mod tile;

pub use crate::container::gguf::DataRange;
pub use best_mix::{
    Analysis, Budget, FormatError, Mix, MixModel, MixedTensor, NearestPreset, best_mix, experts_in_use,
};
pub use bnb::{BnbRequest, bnb_compute_dtype, bnb_data_type, bnb_type, check_bnb_options};
pub use options::{KvOverride, OverrideValue, Recipe, TensorTypeRule};
pub use plan::{BnbLayout, Plan, PlannedTensor, Shard};
pub use planner::{HeaderRef, Planner, plan};
pub use preset::{Preset, presets};
pub use reader_limits::unreadable;
pub(crate) use reader_limits::{MAX_DIFFUSION_NAME, MAX_LANGUAGE_NAME, PLAIN};
pub use row_errors::{Difference, analyze_rows, compare_rows, difference};
pub use row_sample::{STRATA, Sampled, Stratum, rows_per_matrix};
pub use tile::{Tile, add_row_squares, decode_to_f32, encode_tile};
