//! Quantization schemes as values, so that all of them can be measured in the same way.

use crate::affine::{self, QuantGranularity, QuantMode, QuantizedTensor};
use crate::allocation;
use crate::error::Result;
use crate::format::Codec;
use crate::nf4::{self, DataType4Bit, DoubleQuantized4Bit, Quantize4BitOptions, Quantized4Bit};
#[cfg(feature = "serde")]
use crate::tagged_enum::{required, unknown_kind};
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// A quantization scheme with its parameters.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(try_from = "Fields", tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")
)]
pub enum Scheme {
    /// Affine quantization to integers.
    Affine {
        /// 2 to 8.
        bits: u8,
        /// Symmetric or asymmetric.
        mode: QuantMode,
        /// Which values share a scale.
        granularity: QuantGranularity,
    },
    /// A codebook of 16 values, as in bitsandbytes.
    FourBit {
        /// NF4, FP4 or linear.
        data_type: DataType4Bit,
        /// Weights per absmax, 64 to 4096.
        block_size: usize,
        /// Whether the absmax values are quantized too (double quantization); not by default when it is read.
        double_quant: bool,
    },
    /// A GGUF block format.
    Block {
        /// The name of the format ("Q4_K").
        format: String,
    },
}

/// The serialized form of a scheme. What is missing has the defaults of the functions: symmetric, per tensor; NF4,
/// blocks of 64, no double quantization.
#[cfg(feature = "serde")]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    kind: String,
    bits: Option<u8>,
    mode: Option<QuantMode>,
    granularity: Option<QuantGranularity>,
    data_type: Option<DataType4Bit>,
    block_size: Option<usize>,
    double_quant: Option<bool>,
    format: Option<String>,
}

#[cfg(feature = "serde")]
impl TryFrom<Fields> for Scheme {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { kind, bits, mode, granularity, data_type, block_size, double_quant, format } = fields;
        Ok(match &*kind {
            "affine" => Scheme::Affine {
                bits: required(&kind, "bits", bits)?,
                mode: mode.unwrap_or_default(),
                granularity: granularity.unwrap_or_default(),
            },
            "fourBit" => Scheme::FourBit {
                data_type: data_type.unwrap_or_default(),
                block_size: block_size.unwrap_or(Quantize4BitOptions::default().block_size),
                double_quant: double_quant.unwrap_or_default(),
            },
            "block" => Scheme::Block { format: required(&kind, "format", format)? },
            _ => return unknown_kind(&kind, &["affine", "fourBit", "block"]),
        })
    }
}

/// A tensor quantized by a [`Scheme`].
#[derive(Clone, Debug)]
pub enum Encoded {
    /// Packed codes.
    Affine(QuantizedTensor),
    /// Codes and absmax values.
    FourBit(Quantized4Bit),
    /// Codes and quantized absmax values.
    Double(DoubleQuantized4Bit),
    /// Blocks of a format.
    Block(&'static Codec, Vec<u8>),
}

impl Scheme {
    /// Affine quantization with one scale for the whole tensor.
    pub fn per_tensor(bits: u8, mode: QuantMode) -> Self {
        Scheme::Affine { bits, mode, granularity: QuantGranularity::PerTensor }
    }

    /// A block format, given by name.
    pub fn block(format: &str) -> Self {
        Scheme::Block { format: format.to_owned() }
    }

    /// A short name for tables: "int4 symmetric, groups of 32", "NF4 double, blocks of 64", "Q4_K".
    pub fn name(&self) -> String {
        match self {
            Scheme::Affine { bits, mode, granularity } => {
                let mode = match mode {
                    QuantMode::Symmetric => "symmetric",
                    QuantMode::Asymmetric => "asymmetric",
                };
                let shared = match granularity {
                    QuantGranularity::PerTensor => "per tensor".to_owned(),
                    QuantGranularity::PerChannel { axis } => format!("per channel of axis {axis}"),
                    QuantGranularity::PerGroup { size } => format!("groups of {size}"),
                };
                format!("int{bits} {mode}, {shared}")
            }
            Scheme::FourBit { data_type, block_size, double_quant } => {
                let name = format!("{data_type:?}").to_uppercase();
                format!("{name}{}, blocks of {block_size}", if *double_quant { " double" } else { "" })
            }
            Scheme::Block { format } => format.clone(),
        }
    }

    /// Quantizes a row-major tensor of this shape. `importance` applies to block formats and has one value per column.
    ///
    /// # Errors
    /// The errors of the scheme: lengths or bits that do not match, NaN or infinite values, formats that cannot be
    /// written.
    pub fn encode(&self, values: &[f32], shape: &[usize], importance: Option<&[f32]>) -> Result<Encoded> {
        validation::shape("the tensor", values.len(), shape)?;
        match self {
            &Scheme::Affine { bits, mode, granularity } => {
                affine::quantize_tensor(values, shape, granularity, mode, bits).map(Encoded::Affine)
            }
            &Scheme::FourBit { data_type, block_size, double_quant } => {
                let options = Quantize4BitOptions { data_type, block_size };
                if double_quant {
                    nf4::quantize_4bit_double(values, &options).map(Encoded::Double)
                } else {
                    nf4::quantize_4bit(values, &options).map(Encoded::FourBit)
                }
            }
            Scheme::Block { format } => {
                let codec = Codec::by_name(format)?;
                let row = shape.last().copied().unwrap_or(1);
                let mut bytes = allocation::zeros(codec.encoded_len(values.len(), row)?)?;
                codec.encode_rows(values, row, importance, &mut bytes)?;
                Ok(Encoded::Block(codec, bytes))
            }
        }
    }

    /// Quantizes and dequantizes `values`; returns the result and its encoded size in bytes.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn round_trip(&self, values: &[f32], shape: &[usize], importance: Option<&[f32]>) -> Result<(Vec<f32>, usize)> {
        let encoded = self.encode(values, shape, importance)?;
        let mut decoded = allocation::zeros(values.len())?;
        encoded.decode_into(&mut decoded)?;
        Ok((decoded, encoded.memory_bytes()))
    }
}

impl Encoded {
    /// Size in bytes of everything stored: codes, scales, zero points.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Encoded::Affine(tensor) => tensor.memory_bytes(),
            Encoded::FourBit(tensor) => tensor.memory_bytes(),
            Encoded::Double(tensor) => tensor.memory_bytes(),
            Encoded::Block(_, bytes) => bytes.len(),
        }
    }

    /// Dequantizes into a caller's buffer.
    ///
    /// # Errors
    /// [`Code::LENGTH`](crate::Code::LENGTH) if `out` has a different length.
    pub fn decode_into(&self, out: &mut [f32]) -> Result<()> {
        match self {
            Encoded::Affine(tensor) => affine::dequantize_tensor_into(tensor, out),
            Encoded::FourBit(tensor) => nf4::dequantize_4bit_into(tensor, out),
            Encoded::Double(tensor) => nf4::dequantize_4bit_double_into(tensor, out),
            Encoded::Block(codec, bytes) => codec.decode(bytes, out),
        }
    }
}
