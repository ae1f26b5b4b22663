//! The tensor types of GGUF files: their ids, names and block sizes as defined by the file format.
//!
//! Which of them can be read or written is defined by [`crate::format::Codec`]; a test there compares the two tables.

use crate::error::{Code, Error, Result};
use std::fmt;
use std::ops::Deref;

/// A tensor type (`ggml_type`): one byte, because a model can have a million of them. It dereferences to its [`TypeRow`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TensorType(u8);

/// The properties of a [`TensorType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeRow {
    /// The number in GGUF files.
    pub id: u32,
    /// The name, spelled as in llama.cpp's enum.
    pub name: &'static str,
    /// Weights per block.
    pub weights: u64,
    /// Bytes per block.
    pub bytes: u64,
}

impl Deref for TensorType {
    type Target = TypeRow;

    fn deref(&self) -> &TypeRow {
        self.row()
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! types {
    (
        gguf { $($name:ident $id:literal $weights:literal $bytes:literal;)+ }
        foreign { $($other:ident $other_id:literal $other_bytes:literal;)+ }
        codes { $($code:ident $code_id:literal;)+ }
    ) => {
        /// The index of each type in the table.
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($name,)+ $($other,)+ $($code,)+ }

        static TABLE: &[TypeRow] = &[
            $(TypeRow { id: $id, name: stringify!($name), weights: $weights, bytes: $bytes },)+
            $(TypeRow { id: $other_id, name: stringify!($other), weights: 1, bytes: $other_bytes },)+
            $(TypeRow { id: $code_id, name: stringify!($code), weights: 2, bytes: 1 },)+
        ];

        #[allow(missing_docs)] // the names say it
        impl TensorType {
            $(pub const $name: TensorType = TensorType(Index::$name as u8);)+
            $(pub const $other: TensorType = TensorType(Index::$other as u8);)+
            $(
                /// A 4-bit type of bitsandbytes, which does not exist in GGUF: two codes per byte, with the scales stored
                /// separately.
                pub const $code: TensorType = TensorType(Index::$code as u8);
            )+
            /// All types of GGUF, in the order of their ids.
            pub const ALL: &[TensorType] = &[$(TensorType::$name),+];
            /// Types of safetensors files that do not exist in GGUF. Their ids are internal and never written.
            pub const FOREIGN: &[TensorType] = &[$(TensorType::$other),+];
        }
    };
}

types! {
    gguf {
        F32      0   1   4;
        F16      1   1   2;
        Q4_0     2  32  18;
        Q4_1     3  32  20;
        Q5_0     6  32  22;
        Q5_1     7  32  24;
        Q8_0     8  32  34;
        Q8_1     9  32  36;
        Q2_K    10 256  84;
        Q3_K    11 256 110;
        Q4_K    12 256 144;
        Q5_K    13 256 176;
        Q6_K    14 256 210;
        Q8_K    15 256 292;
        IQ2_XXS 16 256  66;
        IQ2_XS  17 256  74;
        IQ3_XXS 18 256  98;
        IQ1_S   19 256  50;
        IQ4_NL  20  32  18;
        IQ3_S   21 256 110;
        IQ2_S   22 256  82;
        IQ4_XS  23 256 136;
        I8      24   1   1;
        I16     25   1   2;
        I32     26   1   4;
        I64     27   1   8;
        F64     28   1   8;
        IQ1_M   29 256  56;
        BF16    30   1   2;
        TQ1_0   34 256  54;
        TQ2_0   35 256  66;
        MXFP4   39  32  17;
        NVFP4   40  64  36;
        Q1_0    41 128  18;
        Q2_0    42  64  18;
    }
    foreign {
        F8_E4M3 0x1000 1;
        F8_E5M2 0x1001 1;
        BOOL    0x1002 1;
        U8      0x1003 1;
        U16     0x1004 2;
        U32     0x1005 4;
        U64     0x1006 8;
    }
    codes {
        NF4 0x1100;
        FP4 0x1101;
    }
}

/// The types that GGUF and safetensors share, by the same names.
const SHARED: &[TensorType] = &[
    TensorType::F64,
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::I8,
    TensorType::I16,
    TensorType::I32,
    TensorType::I64,
];

/// Ids of removed types, with ggml's advice.
const REMOVED: &[(u32, &str, &str)] = &[
    (4, "Q4_2", "it was removed from ggml in 2023"),
    (5, "Q4_3", "it was removed from ggml in 2023"),
    (31, "Q4_0_4_4", "use Q4_0: it is repacked when a model is loaded"),
    (32, "Q4_0_4_8", "use Q4_0: it is repacked when a model is loaded"),
    (33, "Q4_0_8_8", "use Q4_0: it is repacked when a model is loaded"),
    (36, "IQ4_NL_4_4", "use IQ4_NL: it is repacked when a model is loaded"),
    (37, "IQ4_NL_4_8", "use IQ4_NL: it is repacked when a model is loaded"),
    (38, "IQ4_NL_8_8", "use IQ4_NL: it is repacked when a model is loaded"),
];

impl TensorType {
    #[allow(clippy::indexing_slicing)] // only the constants create values, and each has a row
    const fn row(self) -> &'static TypeRow {
        &TABLE[self.0 as usize]
    }

    /// The index in the table, which identifies the type between instances of the same build.
    #[cfg(feature = "models")]
    pub(crate) const fn index(self) -> u8 {
        self.0
    }

    /// The type at an index of the table.
    #[cfg(feature = "models")]
    pub(crate) fn at(index: u8) -> Option<TensorType> {
        (usize::from(index) < TABLE.len()).then_some(TensorType(index))
    }

    /// The type with this id.
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] for an unknown id, or for one that was removed from the format (with its name).
    pub fn by_id(id: u32) -> Result<TensorType> {
        if let Some(found) = Self::ALL.iter().find(|dtype| dtype.id == id) {
            return Ok(*found);
        }
        let message = match REMOVED.iter().find(|(removed, ..)| *removed == id) {
            Some((_, name, advice)) => format!("tensor type {id} ({name}) is obsolete: {advice}"),
            None => format!("unknown tensor type {id}"),
        };
        Err(Error::new(Code::UNSUPPORTED, message).with("type", id))
    }

    /// The type with this name, case-insensitive ("q4_k", "Q4_K").
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] if there is none.
    pub fn by_name(name: &str) -> Result<TensorType> {
        let mut all = Self::ALL.iter().chain(Self::FOREIGN);
        all.find(|dtype| dtype.name.eq_ignore_ascii_case(name)).copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|dtype| dtype.name).collect();
            Error::new(
                Code::UNKNOWN_NAME,
                format!("unknown tensor type '{name}'; the known types are {}", names.join(", ")),
            )
            .with("type", name)
        })
    }

    /// The type of a safetensors dtype ("F8_E4M3").
    ///
    /// # Errors
    /// [`Code::UNSUPPORTED`] if it cannot be read.
    pub fn of_dtype(dtype: &str) -> Result<TensorType> {
        let mut known = SHARED.iter().chain(Self::FOREIGN);
        known
            .find(|known| known.name == dtype)
            .copied()
            .ok_or_else(|| Error::new(Code::UNSUPPORTED, format!("dtype {dtype} is not supported")).with("type", dtype))
    }

    /// Whether the type exists only in safetensors files.
    pub fn is_foreign(self) -> bool {
        Self::FOREIGN.contains(&self)
    }

    /// Whether ggml counts the type as quantized: its blocks hold more than one weight.
    pub const fn is_quantized(self) -> bool {
        self.row().weights > 1
    }

    /// The size of `count` weights in bytes; `None` if they are not whole blocks or the size overflows.
    pub fn size_of(self, count: u64) -> Option<u64> {
        let blocks = count.checked_div(self.weights)?;
        (blocks.checked_mul(self.weights)? == count).then(|| blocks.checked_mul(self.bytes))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_round_trip() {
        for dtype in TensorType::ALL {
            assert_eq!(TensorType::by_id(dtype.id).unwrap(), *dtype);
            assert_eq!(TensorType::by_name(&dtype.name.to_lowercase()).unwrap(), *dtype);
        }
        assert!(TensorType::ALL.is_sorted_by_key(|dtype| dtype.id));
    }

    #[test]
    fn rejects_removed_type_numbers_by_name() {
        for (id, name, _) in REMOVED {
            let error = TensorType::by_id(*id).unwrap_err();
            assert_eq!(error.code(), Code::UNSUPPORTED);
            assert!(error.message().contains(name), "{error}");
        }
        assert_eq!(TensorType::by_id(43).unwrap_err().code(), Code::UNSUPPORTED);
        assert_eq!(TensorType::by_name("Q4_2").unwrap_err().code(), Code::UNKNOWN_NAME);
    }

    #[test]
    fn sizes_count_whole_blocks_without_overflow() {
        assert_eq!(TensorType::Q4_0.size_of(64), Some(36));
        assert_eq!(TensorType::Q4_0.size_of(65), None);
        assert_eq!(TensorType::F64.size_of(u64::MAX), None);
    }
}
