//! The presets of `llama-quantize`: names, numbers and default types.

use crate::container::gguf::TensorType;
use crate::error::{Code, Error, Result};

/// A preset.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preset {
    /// The name in `llama-quantize`.
    pub name: &'static str,
    /// The `llama_ftype` number, stored in files as `general.file_type`.
    pub ftype: u32,
    /// The type of tensors without a rule; `None` for COPY, which keeps all types.
    pub default_type: Option<TensorType>,
    /// A description, with size and perplexity if llama.cpp states them.
    pub description: &'static str,
    /// Whether all quantized tensors get the default type, as with `pure`.
    pub uniform: bool,
}

/// The numbers of the presets, by name, for use in rules.
#[allow(missing_docs)]
pub(super) mod ftype {
    macro_rules! numbers {
        ($($name:ident $number:literal)+) => { $(#[allow(dead_code)] pub const $name: u32 = $number;)+ };
    }
    numbers! {
        F32 0  F16 1  Q4_0 2  Q4_1 3  Q8_0 7  Q5_0 8  Q5_1 9  Q2_K 10  Q3_K_S 11  Q3_K_M 12  Q3_K_L 13  Q4_K_S 14
        Q4_K_M 15  Q5_K_S 16  Q5_K_M 17  Q6_K 18  IQ2_XXS 19  IQ2_XS 20  Q2_K_S 21  IQ3_XS 22  IQ3_XXS 23  IQ1_S 24
        IQ4_NL 25  IQ3_S 26  IQ3_M 27  IQ2_S 28  IQ2_M 29  IQ4_XS 30  IQ1_M 31  BF16 32  TQ1_0 36  TQ2_0 37
        MXFP4_MOE 38  NVFP4 39  Q1_0 40  Q2_0 41
    }
    /// Added to the file type if the file does not state one and it was guessed.
    pub const GUESSED: u32 = 1024;
}

/// A set of presets, one bit each.
#[derive(Clone, Copy, Debug)]
pub(super) struct PresetSet(u64);

impl PresetSet {
    /// Every preset.
    pub const ALL: PresetSet = PresetSet(u64::MAX);

    /// The presets with these numbers, all below 64.
    pub const fn of(ftypes: &[u32]) -> Self {
        let mut bits = 0;
        let mut rest = ftypes;
        while let [first, others @ ..] = rest {
            bits |= 1 << *first;
            rest = others;
        }
        PresetSet(bits)
    }

    /// Whether a preset is in the set.
    pub const fn has(self, ftype: u32) -> bool {
        ftype < 64 && self.0 >> ftype & 1 == 1
    }
}

macro_rules! presets {
    ($($name:literal $ftype:ident $default:ident, $description:literal;)+) => {
        &[$(Preset {
            name: $name,
            ftype: ftype::$ftype,
            default_type: Some(TensorType::$default),
            description: $description,
            uniform: false,
        }),+]
    };
}

/// In the order of llama-quantize's own list.
static PRESETS: &[Preset] = presets! {
    "Q1_0"      Q1_0      Q1_0,    "1.125 bits per weight";
    "Q2_0"      Q2_0      Q2_0,    "2.25 bits per weight, groups of 64";
    "Q4_0"      Q4_0      Q4_0,    "4.34 GB, perplexity +0.4685 on Llama-3-8B";
    "Q4_1"      Q4_1      Q4_1,    "4.78 GB, perplexity +0.4511 on Llama-3-8B";
    "MXFP4_MOE" MXFP4_MOE MXFP4,   "experts in MXFP4, everything else in Q8_0";
    "Q5_0"      Q5_0      Q5_0,    "5.21 GB, perplexity +0.1316 on Llama-3-8B";
    "Q5_1"      Q5_1      Q5_1,    "5.65 GB, perplexity +0.1062 on Llama-3-8B";
    "IQ2_XXS"   IQ2_XXS   IQ2_XXS, "2.06 bits per weight; needs an importance matrix";
    "IQ2_XS"    IQ2_XS    IQ2_XS,  "2.31 bits per weight; needs an importance matrix";
    "IQ2_S"     IQ2_S     IQ2_XS,  "2.5 bits per weight; needs an importance matrix";
    "IQ2_M"     IQ2_M     IQ2_S,   "2.7 bits per weight; needs an importance matrix";
    "IQ1_S"     IQ1_S     IQ1_S,   "1.56 bits per weight; needs an importance matrix";
    "IQ1_M"     IQ1_M     IQ1_M,   "1.75 bits per weight; needs an importance matrix";
    "TQ1_0"     TQ1_0     TQ1_0,   "1.69 bits per weight, for models trained in ternary";
    "TQ2_0"     TQ2_0     TQ2_0,   "2.06 bits per weight, for models trained in ternary";
    "Q2_K"      Q2_K      Q2_K,    "2.96 GB, perplexity +3.5199 on Llama-3-8B";
    "Q2_K_S"    Q2_K_S    Q2_K,    "2.96 GB, perplexity +3.1836 on Llama-3-8B; needs an importance matrix";
    "IQ3_XXS"   IQ3_XXS   IQ3_XXS, "3.06 bits per weight; needs an importance matrix";
    "IQ3_S"     IQ3_S     IQ3_S,   "3.44 bits per weight";
    "IQ3_M"     IQ3_M     IQ3_S,   "3.66 bits per weight, a mix";
    "Q3_K"      Q3_K_M    Q3_K,    "another name for Q3_K_M";
    "IQ3_XS"    IQ3_XS    IQ3_S,   "3.3 bits per weight; needs an importance matrix";
    "Q3_K_S"    Q3_K_S    Q3_K,    "3.41 GB, perplexity +1.6321 on Llama-3-8B";
    "Q3_K_M"    Q3_K_M    Q3_K,    "3.74 GB, perplexity +0.6569 on Llama-3-8B";
    "Q3_K_L"    Q3_K_L    Q3_K,    "4.03 GB, perplexity +0.5562 on Llama-3-8B";
    "IQ4_NL"    IQ4_NL    IQ4_NL,  "4.50 bits per weight, non-linear";
    "IQ4_XS"    IQ4_XS    IQ4_XS,  "4.25 bits per weight, non-linear";
    "Q4_K"      Q4_K_M    Q4_K,    "another name for Q4_K_M";
    "Q4_K_S"    Q4_K_S    Q4_K,    "4.37 GB, perplexity +0.2689 on Llama-3-8B";
    "Q4_K_M"    Q4_K_M    Q4_K,    "4.58 GB, perplexity +0.1754 on Llama-3-8B";
    "Q5_K"      Q5_K_M    Q5_K,    "another name for Q5_K_M";
    "Q5_K_S"    Q5_K_S    Q5_K,    "5.21 GB, perplexity +0.1049 on Llama-3-8B";
    "Q5_K_M"    Q5_K_M    Q5_K,    "5.33 GB, perplexity +0.0569 on Llama-3-8B";
    "Q6_K"      Q6_K      Q6_K,    "6.14 GB, perplexity +0.0217 on Llama-3-8B";
    "Q8_0"      Q8_0      Q8_0,    "7.96 GB, perplexity +0.0026 on Llama-3-8B";
    "F16"       F16       F16,     "14.00 GB, perplexity +0.0020 on Mistral-7B";
    "BF16"      BF16      BF16,    "14.00 GB, perplexity -0.0050 on Mistral-7B";
    "F32"       F32       F32,     "26.00 GB on a 7B model";
};

/// Presets that `llama-quantize` does not have: COPY is a mode of its own there; presets named after a format use it
/// for every tensor.
static EXTRA: &[Preset] = &[
    Preset {
        name: "COPY",
        ftype: ftype::F32,
        default_type: None,
        description: "every tensor unchanged; only order, padding and metadata change",
        uniform: false,
    },
    Preset {
        name: "MXFP4",
        ftype: ftype::MXFP4_MOE,
        default_type: Some(TensorType::MXFP4),
        description: "4.25 bits per weight, every quantized tensor in MXFP4; llama-quantize has no such preset",
        uniform: true,
    },
    Preset {
        name: "NVFP4",
        ftype: ftype::NVFP4,
        default_type: Some(TensorType::NVFP4),
        description: "4.5 bits per weight, every quantized tensor in NVFP4; llama-quantize has no such preset",
        uniform: true,
    },
];

/// All presets.
pub fn presets() -> impl Iterator<Item = &'static Preset> {
    PRESETS.iter().chain(EXTRA)
}

impl Preset {
    /// The preset with this name, case-insensitive, or `llama_ftype` number ("Q4_K_M", "q4_k", "15").
    ///
    /// Formats for which `llama-quantize` has no preset (MXFP4, NVFP4) are presets here: every quantized tensor gets
    /// that format, as with `pure`. For other formats, use `pure` with a preset of that default type: `Q4_K_S` with
    /// `pure` writes Q4_K for every tensor, like `llama-quantize --pure`.
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] if there is none.
    pub fn by_name(name: &str) -> Result<&'static Preset> {
        let number = name.parse::<u32>().ok();
        presets()
            .find(|preset| preset.name.eq_ignore_ascii_case(name))
            .or_else(|| PRESETS.iter().find(|preset| Some(preset.ftype) == number))
            .ok_or_else(|| {
                let names: Vec<_> = presets().map(|preset| preset.name).collect();
                Error::new(
                    Code::UNKNOWN_NAME,
                    format!("unknown preset '{name}'; the known presets are {}", names.join(", ")),
                )
                .with("preset", name)
            })
    }

    /// Whether `llama-quantize` requires an importance matrix, for every model with layers.
    pub fn needs_importance(&self) -> bool {
        NEEDS_IMPORTANCE.has(self.ftype)
    }

    /// Whether it is another name of a preset: `Q4_K` is `Q4_K_M`.
    pub fn is_alias(&self) -> bool {
        let same = |other: &Preset| other.ftype == self.ftype && other.uniform == self.uniform;
        PRESETS.iter().any(|other| same(other) && other.name != self.name && other.name.starts_with(self.name))
    }

    /// Whether it copies every tensor.
    pub fn is_copy(&self) -> bool {
        self.default_type.is_none()
    }
}

const NEEDS_IMPORTANCE: PresetSet = PresetSet::of(&[
    ftype::IQ1_S,
    ftype::IQ1_M,
    ftype::IQ2_XXS,
    ftype::IQ2_XS,
    ftype::IQ2_S,
    ftype::IQ2_M,
    ftype::IQ3_XXS,
    ftype::IQ3_XS,
    ftype::Q2_K_S,
]);

/// The file type for a file that does not state one: the preset whose default type is the most frequent type of the
/// file.
pub(super) fn guessed_ftype(most_frequent: TensorType) -> u32 {
    const GUESSES: &[(TensorType, u32)] = &[
        (TensorType::F32, ftype::F32),
        (TensorType::F16, ftype::F16),
        (TensorType::BF16, ftype::BF16),
        (TensorType::Q4_0, ftype::Q4_0),
        (TensorType::Q4_1, ftype::Q4_1),
        (TensorType::Q5_0, ftype::Q5_0),
        (TensorType::Q5_1, ftype::Q5_1),
        (TensorType::Q8_0, ftype::Q8_0),
        (TensorType::Q2_K, ftype::Q2_K),
        (TensorType::Q3_K, ftype::Q3_K_M),
        (TensorType::Q4_K, ftype::Q4_K_M),
        (TensorType::Q5_K, ftype::Q5_K_M),
        (TensorType::Q6_K, ftype::Q6_K),
        (TensorType::TQ1_0, ftype::TQ1_0),
        (TensorType::TQ2_0, ftype::TQ2_0),
        (TensorType::IQ2_XXS, ftype::IQ2_XXS),
        (TensorType::IQ2_XS, ftype::IQ2_XS),
        (TensorType::IQ2_S, ftype::IQ2_S),
        (TensorType::IQ3_XXS, ftype::IQ3_XXS),
        (TensorType::IQ1_S, ftype::IQ1_S),
        (TensorType::IQ1_M, ftype::IQ1_M),
        (TensorType::IQ4_NL, ftype::IQ4_NL),
        (TensorType::IQ4_XS, ftype::IQ4_XS),
        (TensorType::IQ3_S, ftype::IQ3_S),
        (TensorType::NVFP4, ftype::NVFP4),
        (TensorType::Q1_0, ftype::Q1_0),
        (TensorType::Q2_0, ftype::Q2_0),
    ];
    let guess = GUESSES.iter().find(|(kind, _)| *kind == most_frequent).map_or(ftype::F32, |(_, ftype)| *ftype);
    guess | ftype::GUESSED
}
