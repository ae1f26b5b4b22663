//! A format as a table row: its properties and its functions, derived from its traits. `table` has all rows, and
//! `conversion` calls the functions.

use super::block::{BlockEncoder, BlockFormat};
use crate::error::{Code, Error, Result};
use crate::lanes::Lanes;
use std::mem::size_of;
use zerocopy::FromBytes;

/// Bits per weight of `weights` weights in `bytes` bytes; 0 without weights.
pub fn bits_per_weight(bytes: u64, weights: u64) -> f64 {
    if weights == 0 { 0.0 } else { 8.0 * bytes as f64 / weights as f64 }
}

/// The properties and operations of one format.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The name, spelled as in llama.cpp.
    pub name: &'static str,
    /// The `ggml_type` number in GGUF files.
    pub id: u32,
    /// Weights per block.
    pub weights: usize,
    /// Bytes per block.
    pub bytes: usize,
    /// Whether encoding requires an importance matrix.
    pub needs_importance: bool,
    /// Whether encoding with importance depends on the mean square of the whole row; see [`Self::encode_piece`].
    pub weighs_by_row: bool,
    can_encode: bool,
    /// Its index in the table of functions. The properties do not refer to the functions themselves, so that a program
    /// that only plans conversions does not contain every encoder.
    pub(super) index: usize,
    /// Functions other than those of the table, over lanes that a test chooses.
    pub(super) functions: Option<&'static Functions>,
}

/// The functions of one format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Functions {
    pub(super) decode: fn(&[u8], &mut [f32]),
    pub(super) first_invalid: fn(&[u8]) -> Option<usize>,
    pub(super) encode: Option<EncodeFns>,
}

/// One format: its properties and its functions.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) codec: Codec,
    pub(super) functions: Functions,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct EncodeFns {
    pub(super) plain: fn(&[f32], &mut [u8]),
    /// `None` for a format that ignores importance.
    pub(super) weighted: Option<EncodeRow>,
}

/// Encodes a row with importance.
pub(super) type EncodeRow = fn(&[f32], &[f32], f32, &mut [u8]);

impl Row {
    /// A format that can only be read.
    pub(super) const fn decoder<B: BlockFormat>() -> Self {
        let codec = Codec {
            name: B::NAME,
            id: B::ID,
            weights: B::WEIGHTS,
            bytes: size_of::<B>(),
            needs_importance: false,
            weighs_by_row: false,
            can_encode: false,
            index: 0,
            functions: None,
        };
        let functions = Functions { decode: decode_blocks::<B>, first_invalid: first_invalid_block::<B>, encode: None };
        Row { codec, functions }
    }

    /// A format that can be read and written; `L` are the lanes of its encoder.
    pub(super) const fn encoder<B: BlockEncoder, L: Lanes>() -> Self {
        let Row { codec, functions } = Self::decoder::<B>();
        let encode = EncodeFns {
            plain: encode_blocks::<B, L>,
            weighted: if B::IGNORES_IMPORTANCE { None } else { Some(encode_row_weighted::<B, L>) },
        };
        Row {
            codec: Codec {
                needs_importance: B::NEEDS_IMPORTANCE,
                weighs_by_row: B::WEIGHS_BY_ROW,
                can_encode: true,
                ..codec
            },
            functions: Functions { encode: Some(encode), ..functions },
        }
    }
}

impl Codec {
    /// The same properties at `index` of the table.
    pub(super) const fn at(self, index: usize) -> Self {
        Codec { index, ..self }
    }

    /// The same format with other functions.
    pub(super) const fn with(self, functions: &'static Functions) -> Self {
        Codec { functions: Some(functions), ..self }
    }

    /// Whether weights can be encoded in this format.
    pub const fn can_encode(&self) -> bool {
        self.can_encode
    }

    /// Bits per weight, including scales.
    pub fn bits_per_weight(&self) -> f64 {
        bits_per_weight(self.bytes as u64, self.weights as u64)
    }

    /// Whether the format represents NaN and infinity. Only the float formats do.
    pub const fn carries_non_finite(&self) -> bool {
        self.weights == 1
    }

    /// The size in bytes of `len` weights in rows of `row_length`.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `len` is not a multiple of `row_length`, or `row_length` is not a multiple of the block
    /// size.
    pub fn encoded_len(&self, len: usize, row_length: usize) -> Result<usize> {
        let Codec { name, weights, .. } = *self;
        if row_length == 0 && len == 0 {
            return Ok(0);
        }
        if row_length == 0 || !len.is_multiple_of(row_length) {
            return Err(length(
                format!("{len} weights are not a whole number of rows of {row_length}"),
                len,
                row_length,
            ));
        }
        if !row_length.is_multiple_of(weights) {
            let message =
                format!("{name} has blocks of {weights} weights, but a row of {row_length} is not a multiple of that");
            return Err(length(message, row_length, weights).with("format", name));
        }
        Ok(len / weights * self.bytes)
    }

    /// The number of weights in `len` bytes.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `len` is not a whole number of blocks.
    pub fn decoded_len(&self, len: usize) -> Result<usize> {
        let Codec { name, bytes, .. } = *self;
        if !len.is_multiple_of(bytes) {
            let message = format!("{name} has blocks of {bytes} bytes, but {len} bytes are not a multiple of that");
            return Err(length(message, len, bytes).with("format", name));
        }
        Ok(len / bytes * self.weights)
    }
}

pub(super) fn length(message: String, actual: usize, expected: usize) -> Error {
    Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected)
}

/// Views `bytes` as blocks; the callers have checked its length.
fn blocks<B: BlockFormat>(bytes: &[u8]) -> &[B] {
    <[B]>::ref_from_bytes(bytes).unwrap_or(&[])
}

fn blocks_mut<B: BlockFormat>(bytes: &mut [u8]) -> &mut [B] {
    <[B]>::mut_from_bytes(bytes).unwrap_or(&mut [])
}

fn decode_blocks<B: BlockFormat>(bytes: &[u8], out: &mut [f32]) {
    B::decode_all(blocks::<B>(bytes), out);
}

fn first_invalid_block<B: BlockFormat>(bytes: &[u8]) -> Option<usize> {
    blocks::<B>(bytes).iter().position(|block| !block.is_valid())
}

fn encode_blocks<B: BlockEncoder, L: Lanes>(weights: &[f32], out: &mut [u8]) {
    B::encode::<L>(weights, blocks_mut::<B>(out));
}

fn encode_row_weighted<B: BlockEncoder, L: Lanes>(row: &[f32], importance: &[f32], mean_square: f32, out: &mut [u8]) {
    B::encode_weighted::<L>(row, importance, mean_square, blocks_mut::<B>(out));
}
