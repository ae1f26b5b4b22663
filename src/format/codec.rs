//! A format as a table row: its properties and its functions, derived from its traits.

use super::block::{BlockEncoder, BlockFormat, add_squares, mean_square};
use crate::error::{Code, Error, Result};
use crate::lanes::Lanes;
use crate::tiling::{Input, Output, TILE, tiles_of};
use crate::validation::{self, first_non_finite};
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
    index: usize,
    /// Functions other than those of the table, over lanes that a test chooses.
    functions: Option<&'static Functions>,
}

/// The functions of one format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Functions {
    decode: fn(&[u8], &mut [f32]),
    first_invalid: fn(&[u8]) -> Option<usize>,
    encode: Option<EncodeFns>,
}

/// One format: its properties and its functions.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) codec: Codec,
    pub(super) functions: Functions,
}

#[derive(Clone, Copy, Debug)]
struct EncodeFns {
    plain: fn(&[f32], &mut [u8]),
    /// `None` for a format that ignores importance.
    weighted: Option<EncodeRow>,
}

/// Encodes a row with importance.
type EncodeRow = fn(&[f32], &[f32], f32, &mut [u8]);

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

    fn functions(&self) -> &'static Functions {
        self.functions.unwrap_or(&super::FUNCTIONS[self.index])
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

    /// Encodes rows of `row_length` weights. `importance` has one non-negative value per column.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for a read-only format, [`Code::LENGTH`] for lengths that do not match,
    /// [`Code::NEEDS_IMPORTANCE`], [`Code::RANGE`] for a negative or non-finite importance, [`Code::NON_FINITE`] with
    /// the index of the first NaN or infinite weight, [`Code::UNREPRESENTABLE`] with the index of the first weight of a
    /// block whose scale overflows. After an error the contents of `out` are unspecified.
    pub fn encode_rows(
        &self,
        weights: &[f32],
        row_length: usize,
        importance: Option<&[f32]>,
        out: &mut [u8],
    ) -> Result<()> {
        self.encode_all(weights, row_length, importance, None, out)
    }

    /// [`encode_rows`](Self::encode_rows) for any array of weights.
    pub(crate) fn encode_tiles(
        &self,
        mut weights: impl Input<Item = f32>,
        row_length: usize,
        importance: Option<&[f32]>,
        out: &mut [u8],
    ) -> Result<()> {
        if self.encode_each(&mut weights, row_length, importance, out).is_ok() {
            return Ok(());
        }
        // Encode again as a whole for the right error: its index counts from the first weight, and a NaN takes
        // precedence over weights that cannot be represented.
        self.encode_rows(weights.read_all()?, row_length, importance, out)
    }

    fn encode_each(
        &self,
        weights: &mut impl Input<Item = f32>,
        row_length: usize,
        importance: Option<&[f32]>,
        mut out: &mut [u8],
    ) -> Result<()> {
        validation::length("the output", out.len(), self.encoded_len(weights.len(), row_length)?)?;
        // With importance a row is one unit; without it a block is.
        let row = importance.map(|_| row_length / self.weights);
        for tile in tiles_of(weights.len() / self.weights, self.weights, row.unwrap_or(1), TILE) {
            let part = out.split_off_mut(..tile.len() * self.bytes).unwrap_or_default();
            let weights = weights.read(tile.start * self.weights..tile.end * self.weights);
            self.encode_rows(weights, if row.is_some() { row_length } else { weights.len() }, importance, part)?;
        }
        Ok(())
    }

    /// Encodes whole blocks of a long row, giving the same bytes as encoding the whole row. `importance` has one value
    /// per weight.
    ///
    /// A format with [`weighs_by_row`](Self::weighs_by_row) needs the [mean square](mean_square) of the whole row;
    /// without it, the piece is treated as the whole row. Other formats ignore it.
    ///
    /// # Errors
    /// As for [`Self::encode_rows`].
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
        let Some(encode) = self.functions().encode else {
            return Err(
                Error::new(Code::UNSUPPORTED, format!("{name} can be read but not written")).with("format", name)
            );
        };
        let need = self.encoded_len(weights.len(), row_length)?;
        if out.len() != need {
            let message =
                format!("{} weights in {name} take {need} bytes, but the output has {}", weights.len(), out.len());
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
            let message = format!("weight {index} is {}, which {name} cannot represent", weights[index]);
            return Err(Error::new(Code::NON_FINITE, message).with("index", index).with("format", name));
        }
        match importance {
            None if self.needs_importance => {
                let message = format!("{name} requires an importance matrix; its output would be unusable without one");
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
            let message = format!("weights {index} to {} cannot be represented in {name}", index + self.weights - 1);
            Err(Error::new(Code::UNREPRESENTABLE, message).with("index", index).with("format", name))
        })
    }

    /// Decodes whole blocks.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `bytes` is not a whole number of blocks or `out` is not of their decoded length.
    pub fn decode(&self, bytes: &[u8], out: &mut [f32]) -> Result<()> {
        let need = self.decoded_len(bytes.len())?;
        if out.len() != need {
            let (name, have) = (self.name, out.len());
            let message = format!("{} bytes of {name} are {need} weights, but the output has {have}", bytes.len());
            return Err(length(message, have, need));
        }
        (self.functions().decode)(bytes, out);
        Ok(())
    }

    /// [`decode`](Self::decode) for any arrays.
    pub(crate) fn decode_tiles(
        &self,
        mut bytes: impl Input<Item = u8>,
        mut out: impl Output<Item = f32>,
    ) -> Result<()> {
        validation::length("the output", out.len(), self.decoded_len(bytes.len())?)?;
        let Codec { bytes: size, weights, .. } = *self;
        tiles_of(bytes.len() / size, size.max(weights), 1, out.tile()).try_for_each(|blocks| {
            let bytes = bytes.read(blocks.start * size..blocks.end * size);
            out.write(blocks.start * weights..blocks.end * weights, |out| self.decode(bytes, out))
        })
    }

    /// Checks that the scales of every block are finite, as `ggml_validate_row_data` does.
    ///
    /// # Errors
    /// [`Code::LENGTH`] if `bytes` is not a whole number of blocks; [`Code::INVALID_BLOCK`], or [`Code::NON_FINITE`]
    /// for the float formats, with the index of the first weight of the first invalid block.
    pub fn validate(&self, bytes: &[u8]) -> Result<()> {
        self.decoded_len(bytes.len())?;
        self.first_invalid(bytes).map_or(Ok(()), |block| {
            let Codec { name, weights, .. } = *self;
            let (code, message) = match self.carries_non_finite() {
                true => (Code::NON_FINITE, format!("a weight in {name} is not a finite number")),
                false => {
                    (Code::INVALID_BLOCK, format!("block {block} of {name} has a scale that is not a finite number"))
                }
            };
            Err(Error::new(code, message).with("index", block.saturating_mul(weights)).with("format", name))
        })
    }

    fn first_invalid(&self, bytes: &[u8]) -> Option<usize> {
        (self.functions().first_invalid)(bytes)
    }
}

fn length(message: String, actual: usize, expected: usize) -> Error {
    Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected)
}

fn check_importance(importance: &[f32], row_length: usize) -> Result<()> {
    if importance.len() != row_length {
        let have = importance.len();
        let message = format!("importance must have one value per column: expected {row_length}, got {have}");
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
