//! The table of all formats.

use super::codec::{Codec, Functions, Row};
use super::f64::F64;
use super::float::{BF16, F16, F32};
use super::integers::{I8, I16, I32, I64};
use super::iq1_m::Iq1M;
use super::iq1_s::Iq1S;
use super::iq2_s::Iq2S;
use super::iq2_xs::Iq2Xs;
use super::iq2_xxs::Iq2Xxs;
use super::iq3_s::Iq3S;
use super::iq3_xxs::Iq3Xxs;
use super::iq4_nl::Iq4Nl;
use super::iq4_xs::Iq4Xs;
use super::mxfp4::MxFp4;
use super::nvfp4::NvFp4;
use super::q1_0::Q1_0;
use super::q2_0::Q2_0;
use super::q2_k::Q2K;
use super::q3_k::Q3K;
use super::q4_0::Q4_0;
use super::q4_1::Q4_1;
use super::q4_k::Q4K;
use super::q5_0::Q5_0;
use super::q5_1::Q5_1;
use super::q5_k::Q5K;
use super::q6_k::Q6K;
use super::q8_0::Q8_0;
use super::q8_1::Q8_1;
use super::q8_k::Q8K;
use super::tq1_0::Tq1_0;
use super::tq2_0::Tq2_0;
use crate::error::{Code, Error, Result};
use crate::lanes::{Best, Lanes};

/// All formats, in the order of their ids. A test compares the TypeScript list of names with this table.
const fn table<L: Lanes>() -> [Row; COUNT] {
    [
        Row::encoder::<F32, L>(),
        Row::encoder::<F16, L>(),
        Row::encoder::<Q4_0, L>(),
        Row::encoder::<Q4_1, L>(),
        Row::encoder::<Q5_0, L>(),
        Row::encoder::<Q5_1, L>(),
        Row::encoder::<Q8_0, L>(),
        Row::decoder::<Q8_1>(),
        Row::encoder::<Q2K, L>(),
        Row::encoder::<Q3K, L>(),
        Row::encoder::<Q4K, L>(),
        Row::encoder::<Q5K, L>(),
        Row::encoder::<Q6K, L>(),
        Row::decoder::<Q8K>(),
        Row::encoder::<Iq2Xxs, L>(),
        Row::encoder::<Iq2Xs, L>(),
        Row::encoder::<Iq3Xxs, L>(),
        Row::encoder::<Iq1S, L>(),
        Row::encoder::<Iq4Nl, L>(),
        Row::encoder::<Iq3S, L>(),
        Row::encoder::<Iq2S, L>(),
        Row::encoder::<Iq4Xs, L>(),
        Row::decoder::<I8>(),
        Row::decoder::<I16>(),
        Row::decoder::<I32>(),
        Row::decoder::<I64>(),
        Row::decoder::<F64>(),
        Row::encoder::<Iq1M, L>(),
        Row::encoder::<BF16, L>(),
        Row::encoder::<Tq1_0, L>(),
        Row::encoder::<Tq2_0, L>(),
        Row::encoder::<MxFp4, L>(),
        Row::encoder::<NvFp4, L>(),
        Row::encoder::<Q1_0, L>(),
        Row::encoder::<Q2_0, L>(),
    ]
}

const COUNT: usize = 35;

static CODECS: [Codec; COUNT] = {
    let rows = table::<Best>();
    let mut codecs = [rows[0].codec; COUNT];
    let mut index = 0;
    while index < COUNT {
        codecs[index] = rows[index].codec.at(index);
        index += 1;
    }
    codecs
};

pub(super) static FUNCTIONS: [Functions; COUNT] = functions::<Best>();

const fn functions<L: Lanes>() -> [Functions; COUNT] {
    let rows = table::<L>();
    let mut functions = [rows[0].functions; COUNT];
    let mut index = 0;
    while index < COUNT {
        functions[index] = rows[index].functions;
        index += 1;
    }
    functions
}

/// All formats of this library.
pub fn formats() -> &'static [Codec] {
    &CODECS
}

/// The same formats with encoders over other lanes, for the tests that the number of lanes does not change any byte.
#[doc(hidden)]
pub fn formats_over<L: Lanes>() -> Vec<Codec> {
    let functions: &'static [Functions] = const { &functions::<L>() };
    CODECS.iter().zip(functions).map(|(codec, functions)| codec.with(functions)).collect()
}

impl Codec {
    /// The format with a `ggml_type` number, if there is one.
    pub fn by_id(id: u32) -> Option<&'static Codec> {
        CODECS.iter().find(|codec| codec.id == id)
    }

    /// The format with this name, case-insensitive ("q4_k", "Q4_K").
    ///
    /// # Errors
    /// [`Code::UNKNOWN_NAME`] if there is none.
    pub fn by_name(name: &str) -> Result<&'static Codec> {
        CODECS.iter().find(|codec| codec.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names: Vec<_> = CODECS.iter().map(|codec| codec.name).collect();
            Error::new(
                Code::UNKNOWN_NAME,
                format!("unknown format '{name}'; the known formats are {}", names.join(", ")),
            )
            .with("format", name)
        })
    }
}
