//! A format as a row of a table: its numbers and its functions, built from its traits.

use super::block::{BlockEncoder, BlockFormat, add_squares, mean_square};
use crate::check::first_non_finite;
use crate::error::{Code, Error, Result};
use crate::lanes::Lanes;
use std::mem::size_of;
use zerocopy::FromBytes;

/// One format: its names, its sizes, and what can be done with it.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The name, spelled as llama.cpp spells it.
    pub name: &'static str,
    /// The `ggml_type` number in files.
    pub id: u32,
    /// Weights per block.
    pub weights: usize,
    /// Bytes per block.
    pub bytes: usize,
    /// Whether encoding demands an importance vector.
    pub needs_importance: bool,
    /// Whether encoding under importance reads the mean square of the whole row: see [`Self::encode_piece`].
    pub weighs_by_row: bool,
    decode: fn(&[u8], &mut [f32]),
    first_invalid: fn(&[u8]) -> Option<usize>,
    encode: Option<EncodeFns>,
}

#[derive(Clone, Copy, Debug)]
struct EncodeFns {
    plain: fn(&[f32], &mut [u8]),
    /// None for a format that ignores importance.
    weighted: Option<EncodeRow>,
}

/// Encodes a row under importance.
type EncodeRow = fn(&[f32], &[f32], f32, &mut [u8]);

impl Codec {
    /// A format that is only read.
    pub(super) const fn decoder<B: BlockFormat>() -> Self {
        Codec {
            name: B::NAME,
            id: B::ID,
            weights: B::WEIGHTS,
            bytes: size_of::<B>(),
            needs_importance: false,
            weighs_by_row: false,
            decode: decode_blocks::<B>,
            first_invalid: first_invalid_block::<B>,
            encode: None,
        }
    }

    /// A format that is read and written, its encoder over lanes `L`.
    pub(super) const fn encoder<B: BlockEncoder, L: Lanes>() -> Self {
        Codec {
            needs_importance: B::NEEDS_IMPORTANCE,
            weighs_by_row: B::WEIGHS_BY_ROW,
            encode: Some(EncodeFns {
                plain: encode_blocks::<B, L>,
                weighted: if B::IGNORES_IMPORTANCE { None } else { Some(encode_row_weighted::<B, L>) },
            }),
            ..Self::decoder::<B>()
        }
    }

    /// Whether weights can be written in this format.
    pub const fn can_encode(&self) -> bool {
        self.encode.is_some()
    }

    /// Bits per weight, scales included.
    pub fn bits_per_weight(&self) -> f64 {
        (self.bytes * 8) as f64 / self.weights as f64
    }

    /// Whether the format carries NaN and infinity: only the floats do.
    pub const fn carries_non_finite(&self) -> bool {
        self.weights == 1
    }

    /// How many bytes `len` weights in rows of `row_length` take.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if the rows do not divide `len` or the blocks do not divide a row.
    pub fn encoded_len(&self, len: usize, row_length: usize) -> Result<usize> {
        let Codec { name, weights, .. } = *self;
        if row_length == 0 && len == 0 {
            return Ok(0);
        }
        if row_length == 0 || !len.is_multiple_of(row_length) {
            return Err(length(format!("{len} weights are not whole rows of {row_length}"), len, row_length));
        }
        if !row_length.is_multiple_of(weights) {
            let message = format!("{name} holds blocks of {weights} weights, and a row of {row_length} is no multiple");
            return Err(length(message, row_length, weights).with("format", name));
        }
        Ok(len / weights * self.bytes)
    }

    /// How many weights `len` bytes hold.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if they are not whole blocks.
    pub fn decoded_len(&self, len: usize) -> Result<usize> {
        let Codec { name, bytes, .. } = *self;
        if !len.is_multiple_of(bytes) {
            let message = format!("{name} has blocks of {bytes} bytes, and {len} bytes are no multiple");
            return Err(length(message, len, bytes).with("format", name));
        }
        Ok(len / bytes * self.weights)
    }

    /// Encodes rows of `row_length` weights; `importance` has one non-negative weight per column.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a format that is only read, [`Code::LENGTH`] for lengths that do not fit,
    /// [`Code::NEEDS_IMPORTANCE`], [`Code::RANGE`] for a negative or non-finite importance, [`Code::NON_FINITE`] with
    /// the index of the first NaN or infinity, [`Code::UNREPRESENTABLE`] with the index of the first weight of a block
    /// whose scale leaves the format's range. After an error `out` holds nothing of meaning.
    pub fn encode_rows(
        &self,
        weights: &[f32],
        row_length: usize,
        importance: Option<&[f32]>,
        out: &mut [u8],
    ) -> Result<()> {
        self.encode_all(weights, row_length, importance, None, out)
    }

    /// Encodes whole blocks of one long row to the bytes they have in the whole row; `importance` has one value per weight.
    ///
    /// A format that [weighs by row](Self::weighs_by_row) needs the [mean square](mean_square) of the whole row; without it
    /// the piece counts as the row. Other formats ignore it.
    ///
    /// # Errors
    /// Those of [`Self::encode_rows`].
    pub fn encode_piece(
        &self,
        weights: &[f32],
        importance: Option<&[f32]>,
        mean_square: Option<f32>,
        out: &mut [u8],
    ) -> Result<()> {
        self.encode_all(weights, weights.len(), importance, mean_square, out)
    }

    fn encode_all(
        &self,
        weights: &[f32],
        row_length: usize,
        importance: Option<&[f32]>,
        row_mean: Option<f32>,
        out: &mut [u8],
    ) -> Result<()> {
        let name = self.name;
        let Some(encode) = self.encode else {
            return Err(Error::new(Code::UNSUPPORTED, format!("{name} is read but not written")).with("format", name));
        };
        let need = self.encoded_len(weights.len(), row_length)?;
        if out.len() != need {
            let message =
                format!("{} weights in {name} take {need} bytes, the output has {}", weights.len(), out.len());
            return Err(length(message, out.len(), need));
        }
        if weights.is_empty() {
            return Ok(());
        }
        if self.carries_non_finite() {
            (encode.plain)(weights, out);
            return Ok(());
        }
        if let Some(index) = first_non_finite(weights) {
            let message = format!("weight {index} is {}, which {name} cannot hold", weights[index]);
            return Err(Error::new(Code::NON_FINITE, message).with("index", index).with("format", name));
        }
        match importance {
            None if self.needs_importance => {
                let message = format!("{name} needs an importance matrix: without one its output is useless");
                return Err(Error::new(Code::NEEDS_IMPORTANCE, message).with("format", name));
            }
            None => (encode.plain)(weights, out),
            Some(importance) => {
                check_importance(importance, row_length)?;
                let row_bytes = row_length / self.weights * self.bytes;
                match encode.weighted {
                    None => (encode.plain)(weights, out),
                    Some(weighted) => {
                        for (row, out) in weights.chunks_exact(row_length).zip(out.chunks_exact_mut(row_bytes)) {
                            let mean = match row_mean {
                                _ if !self.weighs_by_row => 0.0,
                                Some(mean) => mean,
                                None => mean_square(add_squares(0.0, row), row.len() as u64),
                            };
                            weighted(row, importance, mean, out);
                        }
                    }
                }
            }
        }
        self.first_invalid(out).map_or(Ok(()), |block| {
            let index = block * self.weights;
            let message = format!("weights {index} to {} do not fit {name}", index + self.weights - 1);
            Err(Error::new(Code::UNREPRESENTABLE, message).with("index", index).with("format", name))
        })
    }

    /// Decodes whole blocks.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `bytes` are not whole blocks or `out` is not as long as they decode to.
    pub fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<()> {
        let need = self.decoded_len(bytes.len())?;
        if out.len() != need {
            let (name, have) = (self.name, out.len());
            let message = format!("{} bytes of {name} are {need} weights, the output has {have}", bytes.len());
            return Err(length(message, have, need));
        }
        (self.decode)(bytes, out);
        Ok(())
    }

    /// What `ggml_validate_row_data` checks: every block's scales are finite.
    ///
    /// # Errors
    /// [`Code::LENGTH`] for bytes that are not whole blocks, [`Code::INVALID_BLOCK`] (for the floats, whose weights have no
    /// scale, [`Code::NON_FINITE`]) with the index of the first bad block's first weight.
    pub fn validate(&self, bytes: &[u8]) -> Result<()> {
        self.decoded_len(bytes.len())?;
        self.first_invalid(bytes).map_or(Ok(()), |block| {
            let Codec { name, weights, .. } = *self;
            let (code, message) = match self.carries_non_finite() {
                true => (Code::NON_FINITE, format!("a weight of {name} is not a finite number")),
                false => {
                    (Code::INVALID_BLOCK, format!("block {block} of {name} has a scale that is not a finite number"))
                }
            };
            Err(Error::new(code, message).with("index", block.saturating_mul(weights)).with("format", name))
        })
    }

    fn first_invalid(&self, bytes: &[u8]) -> Option<usize> {
        (self.first_invalid)(bytes)
    }
}

fn length(message: String, actual: usize, expected: usize) -> Error {
    Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected)
}

fn check_importance(importance: &[f32], row_length: usize) -> Result<()> {
    if importance.len() != row_length {
        let have = importance.len();
        let message = format!("importance has one value per column: {row_length} expected, {have} given");
        return Err(length(message, have, row_length));
    }
    match importance.iter().position(|x| !(x.is_finite() && *x >= 0.0)) {
        None => Ok(()),
        Some(index) => {
            let message = format!("importance {index} is {}, and must be finite and not negative", importance[index]);
            Err(Error::new(Code::RANGE, message).with("index", index))
        }
    }
}

/// The blocks in `bytes`, whose length every caller has checked.
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
