//! The measurements of a worker on some rows of a tensor.

use crate::analysis::{DistortionSums, Histogram, compare};
use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};
use crate::format::Codec;
use crate::recipe::{Tile, add_row_squares, analyze_rows, decode_to_f32};
use crate::serialization::{Reader, Writer};

/// Adjacent rows of a tensor, or a piece of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The stored dtype.
    pub from: String,
    /// Weights per row.
    pub columns: u64,
    /// One importance value per column.
    pub importance: Option<Vec<f32>>,
    /// The mean square of the whole row, if this is a piece of one.
    pub mean_square: Option<f32>,
}

/// A measurement. Plain data that can be sent to any thread or worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// The error of each format.
    Errors(Rows, Vec<String>),
    /// The sum of squares of a row, continued with the next piece.
    Squares {
        /// The stored dtype.
        from: String,
        /// The sum of earlier pieces.
        sum: f32,
    },
    /// The extremes of the weights and of the errors of a format.
    Extremes(Rows, Option<String>),
    /// How many weights and errors of a format are in each bin.
    Counts {
        /// The rows.
        rows: Rows,
        /// The format.
        format: Option<String>,
        /// Empty histograms of the weights and of the errors.
        bins: Bins,
    },
}

/// The ranges of the two histograms of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    /// The number of bins.
    pub count: usize,
    /// The edges of the histogram of weights.
    pub weights: (f64, f64),
    /// The edges of the histogram of errors.
    pub errors: (f64, f64),
}

/// Why a format cannot encode rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The name of the error's [code](Code).
    pub code: String,
    /// The error's message.
    pub message: String,
}

/// The extremes of some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Extremes {
    /// The number of weights.
    pub count: u64,
    /// The smallest weight.
    pub min: f64,
    /// The largest weight.
    pub max: f64,
    /// The largest absolute error; 0 without a format.
    pub error: f64,
}

impl Extremes {
    /// The extremes of both.
    pub fn union(self, other: Extremes) -> Extremes {
        let (min, max) = (self.min.min(other.min), self.max.max(other.max));
        Extremes { count: self.count + other.count, min, max, error: self.error.max(other.error) }
    }
}

/// The result of a [`Measure`].
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// The error sums of each format, or why it cannot encode the rows.
    Errors(Vec<std::result::Result<DistortionSums, Refusal>>),
    /// The sum of squares; `None` for weights that are not finite.
    Squares(Option<f32>),
    /// The extremes.
    Extremes(Extremes),
    /// The counts of the weights and of the errors.
    Counts(Vec<u64>, Vec<u64>),
}

const MEASURE: [u8; 4] = *b"QPME";
const MEASURED: [u8; 4] = *b"QPMD";
const VERSION: u8 = 1;

impl Measure {
    /// Measures the rows in `bytes`.
    ///
    /// # Errors
    /// As for [`analyze_rows`], [`decode_to_f32`] and [`Tile::encode`].
    pub fn run(&self, bytes: &[u8]) -> Result<Measured> {
        match self {
            Measure::Errors(rows, formats) => {
                let (columns, importance) = (rows.columns as usize, rows.importance.as_deref());
                let errors = analyze_rows(bytes, &rows.from, columns, formats, importance, rows.mean_square)?;
                let refusal =
                    |error: Error| Refusal { code: error.code().name.to_owned(), message: error.message().to_owned() };
                Ok(Measured::Errors(errors.into_iter().map(|sums| sums.map_err(refusal)).collect()))
            }
            Measure::Squares { from, sum } => match add_row_squares(*sum, bytes, from) {
                // Every format fails for these rows, with the reason.
                Err(error) if [Code::NON_FINITE, Code::INVALID_BLOCK].contains(&error.code()) => {
                    Ok(Measured::Squares(None))
                }
                sum => Ok(Measured::Squares(Some(sum?))),
            },
            Measure::Extremes(rows, format) => {
                let (weights, decoded) = rows.round_trip(bytes, format.as_deref())?;
                let (min, max) = crate::affine::min_max(&weights)?;
                let error = decoded.map_or(Ok(0.0), |decoded| Ok(compare(&weights, &decoded, 0.0)?.max_error))?;
                let count = weights.len() as u64;
                Ok(Measured::Extremes(Extremes { count, min: min.into(), max: max.into(), error }))
            }
            Measure::Counts { rows, format, bins } => {
                let (weights, decoded) = rows.round_trip(bytes, format.as_deref())?;
                let (mut of_weights, mut of_errors) = bins.histograms()?;
                of_weights.add(&weights)?;
                if let Some(decoded) = decoded {
                    of_errors.add_errors(&weights, &decoded)?;
                }
                Ok(Measured::Counts(of_weights.counts, of_errors.counts))
            }
        }
    }

    /// Serializes the measurement.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(MEASURE, VERSION);
        match self {
            Measure::Errors(rows, formats) => {
                rows.write(out.u8(0));
                out.count(formats.len());
                formats.iter().for_each(|format| {
                    out.text(format);
                });
            }
            Measure::Squares { from, sum } => {
                out.u8(1).text(from).f32(*sum);
            }
            Measure::Extremes(rows, format) => {
                rows.write(out.u8(2));
                write_format(&mut out, format.as_deref());
            }
            Measure::Counts { rows, format, bins: Bins { count, weights, errors } } => {
                rows.write(out.u8(3));
                write_format(&mut out, format.as_deref());
                out.count(*count).f64(weights.0).f64(weights.1).f64(errors.0).f64(errors.1);
            }
        }
        out.finish()
    }

    /// Reads a serialized measurement.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Measure> {
        let mut input = Reader::new(bytes, MEASURE, VERSION, "a measurement")?;
        let measure = match input.choice(&[0, 1, 2, 3], "kind of measurement")? {
            0 => {
                let (rows, mut formats) = (Rows::read(&mut input)?, Vec::new());
                for _ in 0..input.count()? {
                    formats.push(input.text()?);
                }
                Measure::Errors(rows, formats)
            }
            1 => Measure::Squares { from: input.text()?, sum: input.f32()? },
            2 => Measure::Extremes(Rows::read(&mut input)?, input.option(Reader::text)?),
            _ => {
                let (rows, format) = (Rows::read(&mut input)?, input.option(Reader::text)?);
                let count = input.count()?;
                let (weights, errors) = ((input.f64()?, input.f64()?), (input.f64()?, input.f64()?));
                Measure::Counts { rows, format, bins: Bins { count, weights, errors } }
            }
        };
        input.finish()?;
        Ok(measure)
    }
}

fn write_format(out: &mut Writer, format: Option<&str>) {
    out.option(format, |out, format| {
        out.text(format);
    });
}

impl Bins {
    /// Empty histograms of the weights and of the errors.
    ///
    /// # Errors
    /// As for [`Histogram::new`].
    pub fn histograms(&self) -> Result<(Histogram, Histogram)> {
        let of = |(min, max)| Histogram::new(min, max, self.count);
        Ok((of(self.weights)?, of(self.errors)?))
    }
}

impl Rows {
    fn write(&self, out: &mut Writer) {
        out.text(&self.from).u64(self.columns);
        out.option(self.importance.as_ref(), |out, values| {
            out.f32s(values);
        });
        out.option(self.mean_square, |out, mean| {
            out.f32(mean);
        });
    }

    fn read(input: &mut Reader<'_>) -> Result<Rows> {
        let (from, columns) = (input.text()?, input.u64()?);
        let (importance, mean_square) = (input.option(Reader::f32s)?, input.option(Reader::f32)?);
        Ok(Rows { from, columns, importance, mean_square })
    }

    /// The weights, and what they are after a format.
    fn round_trip(&self, bytes: &[u8], format: Option<&str>) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let from = TensorType::by_name(&self.from)?;
        let weights = decode_to_f32(bytes, from)?;
        let Some(format) = format else { return Ok((weights, None)) };
        let (codec, to) = (Codec::by_name(format)?, TensorType::by_name(format)?);
        let Rows { columns, importance, mean_square, .. } = self;
        let (columns, importance, mean_square) = (*columns as usize, importance.as_deref(), *mean_square);
        let encoded = Tile { bytes, from, to, columns, importance, mean_square, permuted_head_rows: 0 }.encode(None)?;
        let mut decoded = crate::allocation::zeros(weights.len())?;
        codec.decode(&encoded, &mut decoded)?;
        Ok((weights, Some(decoded)))
    }
}

impl Measured {
    /// Serializes the result.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(MEASURED, VERSION);
        match self {
            Measured::Errors(errors) => {
                out.u8(0).count(errors.len());
                errors.iter().for_each(|found| match found {
                    Ok(sums) => {
                        out.bool(true);
                        sums.to_array().iter().for_each(|sum| {
                            out.f64(*sum);
                        });
                    }
                    Err(Refusal { code, message }) => {
                        out.bool(false).text(code).text(message);
                    }
                });
            }
            Measured::Squares(sum) => {
                out.u8(1).option(*sum, |out, sum| {
                    out.f32(sum);
                });
            }
            Measured::Extremes(Extremes { count, min, max, error }) => {
                out.u8(2).u64(*count).f64(*min).f64(*max).f64(*error);
            }
            Measured::Counts(weights, errors) => {
                out.u8(3).u64s(weights).u64s(errors);
            }
        }
        out.finish()
    }

    /// Reads a serialized result.
    ///
    /// # Errors
    /// `TRUNCATED`, `MAGIC`, `UNSUPPORTED` or `MALFORMED` for bytes of anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Measured> {
        let mut input = Reader::new(bytes, MEASURED, VERSION, "the result of a measurement")?;
        let measured = match input.choice(&[0, 1, 2, 3], "kind of measurement")? {
            0 => {
                let mut errors = Vec::new();
                for _ in 0..input.count()? {
                    errors.push(match input.bool()? {
                        true => Ok(DistortionSums::from_array(sums(&mut input)?)),
                        false => Err(Refusal { code: input.text()?, message: input.text()? }),
                    });
                }
                Measured::Errors(errors)
            }
            1 => Measured::Squares(input.option(Reader::f32)?),
            2 => {
                let (count, min, max, error) = (input.u64()?, input.f64()?, input.f64()?, input.f64()?);
                Measured::Extremes(Extremes { count, min, max, error })
            }
            _ => Measured::Counts(input.u64s()?, input.u64s()?),
        };
        input.finish()?;
        Ok(measured)
    }
}

fn sums(input: &mut Reader<'_>) -> Result<[f64; 8]> {
    let mut sums = [0.0; 8];
    for sum in &mut sums {
        *sum = input.f64()?;
    }
    Ok(sums)
}
