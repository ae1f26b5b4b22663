//! Presets and rules as data, and the planner, which turns a header and a recipe into the plan of a conversion.
//!
//! ```text
//! preset     the presets (Q4_K_M ...): names, numbers and default types
//! category   categories of tensors by name; tensors that are never quantized
//! mix        the rules of all presets: which category gets which type under which conditions, and why
//! fallback   fallback types for rows that are not a multiple of the block size
//! four_bit   the presets of bitsandbytes' formats, which do not produce GGUF
//! limits     limits of GGUF readers on names and dimensions
//! facts      the properties of a model that rules depend on: architecture, layers, heads, experts
//! options    the options of a recipe, with llama-quantize's names
//! plan       header + recipe + importance -> each tensor's type, position and reason, and the final header
//! split      output to several files
//! transcribe writes a header imported from another container without quantizing
//! tile       one tile (whole rows or part of one): decode, encode, check, measure
//! sample     the rows of a tensor that an analysis looks at
//! rows       the error of each format on some rows, and the difference between two tensors
//! ```
//!
//! Every decision and every byte of a plan equals that of llama.cpp's `llama_model_quantize` for the same input. The
//! rules are those of its `llama-quant.cpp` (MIT), expressed as tables. There is one difference: for files with an
//! alignment other than 32, upstream still places tensors at multiples of 32, and its own loader rejects the result;
//! here they are placed according to the metadata.

mod best_mix;
mod category;
mod choose;
mod facts;
mod fallback;
mod four_bit;
mod image;
mod limits;
mod metadata;
mod mix;
mod names;
mod options;
mod plan;
mod planned;
mod preset;
mod rows;
mod sample;
mod split;
mod tile;
mod transcribe;

pub use crate::container::gguf::Place;
pub use best_mix::{
    Analysis, Budget, FormatError, Measured, Mix, MixModel, MixedTensor, NearestPreset, best_mix, experts_in_use,
};
pub use four_bit::{check_four_bit_options, four_bit_data_type, four_bit_dtype, four_bit_type};
pub use limits::unreadable;
pub(crate) use limits::{MAX_IMAGE_NAME, MAX_TEXT_NAME, PLAIN};
pub use options::{KvOverride, OverrideValue, Recipe, TensorTypeRule};
pub use plan::plan;
pub use planned::{FourBit, Plan, PlannedTensor, Shard};
pub use preset::{Preset, presets};
pub use rows::{analyze_rows, compare_rows};
pub use sample::{STRATA, Sampled, Stratum, rows_per_matrix};
pub use tile::{Tile, add_row_squares, encode_tile, widen};
pub use transcribe::transcribe;
