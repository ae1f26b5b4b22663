//! A quantized tensor in a file written in one pass: its codes, followed by the rest, whose size follows from the
//! shape.
//!
//! ```text
//! NAME                                       U8   [ceil(n / 2), 1]  the codes
//! NAME.absmax                                U8   [blocks]          only with double quantization
//! NAME.quant_state.bitsandbytes__nf4         U8   JSON, padded with spaces to a multiple of 8
//! NAME.absmax | NAME.nested_absmax, NAME.nested_quant_map   F32
//! NAME.quant_map                             F32  [16]
//! ```
//!
//! The tensors are those of [`state_dict`](super::state_dict), in an order in which all are aligned.

use super::blockwise::BLOCK_SIZE;
use super::codebook::DataType4Bit;
use super::double_quant::{DOUBLE_QUANT_BLOCK_SIZE, decode_absmax, double_absmax};
use super::dynamic_map::DYNAMIC_MAP;
use super::state_dict::{STATE, StateDtype, state_json};
use crate::error::{Code, Error, Result};

/// The maximum length of an offset in digits.
const LONGEST_NUMBER: usize = 24;

/// The alignment of the floats after the JSON.
const ALIGNMENT: u64 = 8;

/// The data after the codes of each quantized tensor in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLayout {
    /// The data type of the codes.
    pub data_type: DataType4Bit,
    /// Whether double quantization is used.
    pub double_quant: bool,
}

/// A tensor in a tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailPart {
    /// The suffix of its name, after the name of the weight.
    pub suffix: String,
    /// The dtype.
    pub dtype: StateDtype,
    /// The number of elements.
    pub count: u64,
}

/// The data that follows the codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The decoded absmax values, with double quantization.
    pub decoded: Option<Vec<f32>>,
}

impl TailLayout {
    /// The tensors after the codes of a tensor of this `shape`, in order; `at` is the end of the codes in the data of
    /// the file.
    ///
    /// # Errors
    /// As for [`state_json`].
    pub fn parts(&self, shape: &[usize], dtype: &str, blocks: u64, at: u64) -> Result<Vec<TailPart>> {
        let part = |suffix: &str, dtype, count| TailPart { suffix: suffix.to_owned(), dtype, count };
        let longest = state_json(self.data_type, BLOCK_SIZE, dtype, shape, self.double_quant.then_some(0.0))?;
        // The longest dtype name, the longest offset, and two bytes per dimension: more than any state needs.
        let spare = "bfloat16".len() - dtype.len() + if self.double_quant { LONGEST_NUMBER - "0.0".len() } else { 0 };
        let begin = at.saturating_add(if self.double_quant { blocks } else { 0 });
        let end = begin.saturating_add((longest.len() + spare + shape.len() + 1) as u64).next_multiple_of(ALIGNMENT);
        let state = part(&format!(".{STATE}{}", self.data_type.name()), StateDtype::U8, end - begin);
        let map = part(".quant_map", StateDtype::F32, self.data_type.table().len() as u64);
        if !self.double_quant {
            return Ok(vec![state, part(".absmax", StateDtype::F32, blocks), map]);
        }
        let nested = blocks.div_ceil(DOUBLE_QUANT_BLOCK_SIZE as u64);
        Ok(vec![
            part(".absmax", StateDtype::U8, blocks),
            state,
            part(".nested_absmax", StateDtype::F32, nested),
            part(".nested_quant_map", StateDtype::F32, DYNAMIC_MAP.len() as u64),
            map,
        ])
    }

    /// Creates the data of the tail, which has `size` bytes.
    ///
    /// # Errors
    /// As for [`double_absmax`] and [`state_json`]; [`Code::LENGTH`] if the tail exceeds `size`.
    pub fn tail(&self, absmax: Vec<f32>, shape: &[usize], dtype: &str, size: usize) -> Result<Tail> {
        let (codes, floats, nested_offset) = if self.double_quant {
            let (codes, nested, offset) = double_absmax(absmax)?;
            (codes, nested, Some(offset))
        } else {
            (Vec::new(), absmax, None)
        };
        let decoded = nested_offset.map(|offset| decode_absmax(&codes, &floats, offset)).transpose()?;
        let maps: [&[f32]; 2] = [if self.double_quant { &*DYNAMIC_MAP } else { &[] }, self.data_type.table()];
        let mut state = state_json(self.data_type, BLOCK_SIZE, dtype, shape, nested_offset)?.into_bytes();
        let least = codes.len() + 4 * (floats.len() + maps[0].len() + maps[1].len());
        let room = size.checked_sub(least).filter(|room| *room >= state.len()).ok_or_else(|| {
            let have = least + state.len();
            Error::new(Code::LENGTH, format!("{have} bytes of scales instead of the planned {size}"))
        })?;
        state.resize(room, b' ');
        let mut bytes = [codes, state].concat();
        bytes.extend(floats.iter().chain(maps[0]).chain(maps[1]).flat_map(|x| x.to_le_bytes()));
        Ok(Tail { bytes, decoded })
    }
}
