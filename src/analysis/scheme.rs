//! Quantization schemes as values, so that all of them can be measured in the same way.

use crate::affine::{self, QuantGranularity, QuantMode, QuantRange, QuantScheme, QuantizedTensor, SymmetricRule};
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
#[cfg_attr(feature = "serde", serde(try_from = "Fields", into = "Fields"))]
pub enum Scheme {
    /// Affine quantization to integers, as by [`quantize_tensor_with`](affine::quantize_tensor_with).
    Affine {
        /// Bits, mode, codes and rule.
        scheme: QuantScheme,
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

/// The serialized form of a scheme. What is missing has the defaults of the functions: symmetric, per tensor, the codes
/// of the mode, PyTorch's rule; NF4, blocks of 64, no double quantization.
#[cfg(feature = "serde")]
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<QuantMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granularity: Option<QuantGranularity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<QuantRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<SymmetricRule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_type: Option<DataType4Bit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    double_quant: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
}

#[cfg(feature = "serde")]
impl From<Scheme> for Fields {
    fn from(scheme: Scheme) -> Self {
        let of = |kind: &str| Fields { kind: kind.to_owned(), ..Fields::default() };
        match scheme {
            Scheme::Affine { scheme, granularity } => Fields {
                bits: Some(scheme.bits()),
                mode: Some(scheme.mode()),
                granularity: Some(granularity),
                range: Some(scheme.range()),
                rule: Some(scheme.rule()),
                ..of("affine")
            },
            Scheme::FourBit { data_type, block_size, double_quant } => Fields {
                data_type: Some(data_type),
                block_size: Some(block_size),
                double_quant: Some(double_quant),
                ..of("fourBit")
            },
            Scheme::Block { format } => Fields { format: Some(format), ..of("block") },
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Fields> for Scheme {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { kind, bits, mode, granularity, range, rule, data_type, block_size, double_quant, format } = fields;
        Ok(match &*kind {
            "affine" => {
                let scheme = QuantScheme::new(required(&kind, "bits", bits)?, mode.unwrap_or_default());
                let scheme = scheme.and_then(|scheme| range.map_or(Ok(scheme), |range| scheme.with_range(range)));
                let scheme = scheme.map_err(|error| error.message().to_owned())?;
                Scheme::Affine {
                    scheme: scheme.with_rule(rule.unwrap_or_default()),
                    granularity: granularity.unwrap_or_default(),
                }
            }
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
    /// Affine quantization with the default codes and rule, as by [`quantize_tensor`](affine::quantize_tensor).
    ///
    /// # Errors
    /// [`Code::RANGE`](crate::Code::RANGE) unless `bits` is 2 to 8.
    pub fn affine(bits: u8, mode: QuantMode, granularity: QuantGranularity) -> Result<Self> {
        Ok(Scheme::Affine { scheme: QuantScheme::new(bits, mode)?, granularity })
    }

    /// Affine quantization with one scale for the whole tensor.
    ///
    /// # Errors
    /// [`Code::RANGE`](crate::Code::RANGE) unless `bits` is 2 to 8.
    pub fn per_tensor(bits: u8, mode: QuantMode) -> Result<Self> {
        Self::affine(bits, mode, QuantGranularity::PerTensor)
    }

    /// A block format, given by name.
    pub fn block(format: &str) -> Self {
        Scheme::Block { format: format.to_owned() }
    }

    /// A short name for tables: "int4 symmetric, groups of 32", "NF4 double, blocks of 64", "Q4_K".
    pub fn name(&self) -> String {
        match self {
            Scheme::Affine { scheme, granularity } => {
                let bits = scheme.bits();
                let (mode, rule) = match (scheme.mode(), scheme.rule()) {
                    (QuantMode::Asymmetric, _) => ("asymmetric", ""),
                    (QuantMode::Symmetric, SymmetricRule::Span) => ("symmetric", ""),
                    (QuantMode::Symmetric, SymmetricRule::Positive) => ("symmetric", ", positive rule"),
                    (QuantMode::Symmetric, SymmetricRule::NoClipping) => ("symmetric", ", no clipping"),
                };
                let QuantRange { qmin, qmax } = scheme.range();
                let usual = QuantScheme::new(bits, scheme.mode()).is_ok_and(|usual| usual.range() == scheme.range());
                let codes = if usual { String::new() } else { format!(", codes {qmin} to {qmax}") };
                let shared = match granularity {
                    QuantGranularity::PerTensor => "per tensor".to_owned(),
                    QuantGranularity::PerChannel { axis } => format!("per channel of axis {axis}"),
                    QuantGranularity::PerGroup { size } => format!("groups of {size}"),
                };
                format!("int{bits} {mode}{codes}{rule}, {shared}")
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
            Scheme::Affine { scheme, granularity } => {
                affine::quantize_tensor_with(values, shape, *granularity, scheme).map(Encoded::Affine)
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
