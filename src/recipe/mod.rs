//! What to do with a model: presets and rules as data, and the planner that turns a header and a recipe into jobs.
//!
//! ```text
//! preset     the names people know (Q4_K_M ...), their numbers and default types
//! category   what kind of tensor a name means; which tensors are never quantized
//! mix        the rules of every preset: this kind of tensor, under these conditions, gets that type, because
//! fallback   what a type becomes when a row is not whole blocks
//! four_bit   the presets of bitsandbytes' formats, which are no GGUF
//! limits     names and dimensions that readers of GGUF do not take
//! facts      what the rules ask of a model: architecture, layers, heads, experts
//! recipe     the options, with llama-quantize's names
//! plan       header + recipe + importance -> every tensor's decision, place and reason, and the final header
//! split      the files that are written, if there shall be several
//! transcribe a made header written as it is: what a conversion without a preset of formats does
//! tile       one tile, whole rows or a piece of one: widen, encode, check, measure
//! rows       what each format would make of some rows, and how two tensors differ
//! ```
//!
//! Every decision and every byte of the plan is what llama.cpp's `llama_model_quantize` makes of the same input; the
//! rules are its `llama-quant.cpp` (MIT), re-expressed as tables. It is different in one place: where a file's
//! alignment is not 32, upstream lays tensors out at multiples of 32 all the same, and its own loader refuses the
//! result; here they are placed as the metadata says.

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
mod preset;
mod rows;
mod split;
mod tile;
mod transcribe;

pub use crate::container::gguf::Place;
pub use four_bit::{check_four_bit_options, four_bit_data_type, four_bit_dtype, four_bit_type};
pub use limits::unreadable;
pub(crate) use limits::{MAX_IMAGE_NAME, MAX_TEXT_NAME, PLAIN};
pub use options::{KvOverride, OverrideValue, Recipe, TensorTypeRule};
pub use plan::{FourBit, Plan, PlannedTensor, plan};
pub use preset::{Preset, presets};
pub use rows::{analyze_rows, compare_rows};
pub use split::Shard;
pub use tile::{Tile, add_row_squares, encode_tile, widen};
pub use transcribe::transcribe;
