//! The operations of a format: encoding, decoding, checking.

use super::block::{add_squares, mean_square};
use super::codec::{Codec, Functions, length};
use super::table::FUNCTIONS;
use crate::error::{Code, Error, Result};
use crate::tiling::{Input, Output, TILE, tiles_of};
use crate::validation::{self, first_non_finite};

impl Codec {
    fn functions(&self) -> &'static Functions {
        self.functions.unwrap_or(&FUNCTIONS[self.index])
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
