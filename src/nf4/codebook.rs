//! The sixteen values of each 4-bit type, and the midpoints for choosing the nearest.

#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};

/// The 4-bit data type, that is, the meaning of a code in a block normalized by its absmax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub enum DataType4Bit {
    /// NormalFloat: quantiles of a normal distribution, with 0 and both ends exact. Best for weights.
    #[default]
    Nf4,
    /// A 4-bit float: a sign, two exponent bits, one mantissa bit; the maximum is 1.
    Fp4,
    /// `-7..=7` divided by 7, in two's complement: evenly spaced. Does not exist in bitsandbytes; its error on gaussian
    /// weights is 1.4 dB above that of NF4.
    Int4,
}

impl DataType4Bit {
    /// All types, in the order of their numbers in serialized structures.
    pub const ALL: [DataType4Bit; 3] = [DataType4Bit::Nf4, DataType4Bit::Fp4, DataType4Bit::Int4];

    /// The name in bitsandbytes (`quant_type`); `int4` is our own.
    pub const fn name(self) -> &'static str {
        match self {
            DataType4Bit::Nf4 => "nf4",
            DataType4Bit::Fp4 => "fp4",
            DataType4Bit::Int4 => "int4",
        }
    }

    /// The value of each code in a block whose absmax is 1.
    ///
    /// For INT4 this is informational: it decodes as `q (absmax / 7)`, which rounds differently in the last bit.
    pub const fn table(self) -> &'static [f32; 16] {
        match self {
            DataType4Bit::Nf4 => &NF4,
            DataType4Bit::Fp4 => &FP4,
            DataType4Bit::Int4 => &INT4,
        }
    }
}

/// QLoRA's NormalFloat, with the digits of bitsandbytes.
const NF4: [f32; 16] = [
    -1.0,
    -0.696_192_800_998_687_7,
    -0.525_073_051_452_636_7,
    -0.394_917_488_098_144_53,
    -0.284_441_381_692_886_35,
    -0.184_773_430_228_233_34,
    -0.091_050_036_251_544_95,
    0.0,
    0.079_580_299_556_255_34,
    0.160_930_201_411_247_25,
    0.246_112_301_945_686_34,
    0.337_915_241_718_292_24,
    0.440_709_829_330_444_34,
    0.562_617_003_917_694_1,
    0.722_956_836_223_602_3,
    1.0,
];

const FP4: [f32; 16] = {
    let magnitudes = [0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0];
    let mut table = [0.0; 16];
    let mut code = 0;
    while code < 8 {
        table[code] = magnitudes[code] / 12.0;
        // Code 8 is zero too, and positive.
        table[code + 8] = 0.0 - table[code];
        code += 1;
    }
    table
};

const INT4: [f32; 16] = {
    let mut table = [0.0; 16];
    let mut code = 0;
    while code < 16 {
        table[code] = ((code as i32 ^ 8) - 8) as f32 / 7.0;
        code += 1;
    }
    table
};

/// The search for the nearest value: the code is `order[number of midpoints below the value]`.
///
/// A value equal to a midpoint takes the lower neighbour, as with `torch.bucketize`.
pub struct Search {
    /// `(v[i] + v[i + 1]) / 2` for the sorted values.
    pub midpoints: [f32; 15],
    /// The codes in ascending order of their values.
    pub order: [u8; 16],
}

impl Search {
    const fn new(table: &[f32; 16], order: [u8; 16]) -> Self {
        let mut midpoints = [0.0; 15];
        let mut i = 0;
        while i < 15 {
            midpoints[i] = (table[order[i] as usize] + table[order[i + 1] as usize]) / 2.0;
            i += 1;
        }
        Search { midpoints, order }
    }

    /// NF4 is already sorted.
    pub const NF4: Search = Search::new(&NF4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    /// FP4 has two zeros, and `torch.argsort` puts code 8 after 0: a tiny positive value gets code 8, zero gets code 0.
    pub const FP4: Search = Search::new(&FP4, [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_orders_are_sorted_permutations() {
        for (search, table) in [(Search::NF4, NF4), (Search::FP4, FP4)] {
            assert!(search.midpoints.is_sorted());
            assert!(search.order.map(|code| table[usize::from(code)]).is_sorted());
            let mut codes = search.order;
            codes.sort_unstable();
            assert_eq!(codes, std::array::from_fn(|i| i as u8));
        }
        assert_eq!(INT4[9], -1.0);
        assert_eq!(FP4[8].to_bits(), 0);
    }
}
