//! The inner loops over one block: absmax, codes, values.

use super::codebook::{DataType4Bit, Search};
use crate::round::MAGIC;

/// bitsandbytes' lower bound for the absmax.
const FLOOR: f32 = 1e-38;

/// The largest magnitude of `values`, or `None` if any of them is NaN or infinite.
pub fn absmax(values: &[f32]) -> Option<f32> {
    // The bits of non-negative floats are ordered like the floats, with infinity and NaN above all finite ones. An
    // integer maximum is independent of the order, so the loop vectorises.
    let bits = values.iter().fold(0i32, |max, x| max.max((x.to_bits() & 0x7fff_ffff) as i32));
    (bits < 0x7f80_0000).then(|| f32::from_bits(bits as u32))
}

/// The absmax to store for a block. A shorter block at the end of a tensor stores it with its lower bound, as in
/// bitsandbytes.
pub fn stored(absmax: f32, whole: bool, data_type: DataType4Bit) -> f32 {
    if whole || data_type == DataType4Bit::Int4 { absmax } else { absmax.max(FLOOR) }
}

/// Encodes one block, two codes per byte with the first in the high nibble. Returns the absmax to store.
///
/// As in bitsandbytes, `whole` blocks multiply by the reciprocal, while a shorter block at the end of a tensor divides
/// and stores the absmax with its lower bound; the codes differ accordingly.
pub fn encode(values: &[f32], absmax: f32, whole: bool, data_type: DataType4Bit, codes: &mut [u8]) -> f32 {
    let floored = if absmax < FLOOR { FLOOR } else { absmax };
    let inverse = 1.0 / floored;
    match (data_type, whole) {
        (DataType4Bit::Int4, _) => {
            let inverse = 7.0 / absmax.max(f32::MIN_POSITIVE);
            pack(values, codes, |x: [f32; LANES]| x.map(|x| (x * inverse + MAGIC).to_bits() & 15));
            absmax
        }
        (DataType4Bit::Nf4, true) => {
            pack(values, codes, |x| count(x.map(|x| x * inverse), &Search::NF4));
            absmax
        }
        (DataType4Bit::Nf4, false) => {
            pack(values, codes, |x| count(x.map(|x| x / floored), &Search::NF4));
            floored
        }
        (DataType4Bit::Fp4, true) => {
            pack(values, codes, |x| reorder(count(x.map(|x| x * inverse), &Search::FP4), &Search::FP4));
            absmax
        }
        (DataType4Bit::Fp4, false) => {
            pack(values, codes, |x| reorder(count(x.map(|x| x / floored), &Search::FP4), &Search::FP4));
            floored
        }
    }
}

/// The number of values processed in parallel.
const LANES: usize = 16;

/// Applies `code` to the values and packs the results. An odd number of values is padded with the code of 0.
fn pack(values: &[f32], bytes: &mut [u8], code: impl Fn([f32; LANES]) -> [u32; LANES]) {
    let nibbles = |codes: [u32; LANES], bytes: &mut [u8]| {
        for (byte, pair) in bytes.iter_mut().zip(codes.as_chunks::<2>().0) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
    };
    let (chunks, tail) = values.as_chunks::<LANES>();
    let (full, rest) = bytes.split_at_mut(chunks.len() * LANES / 2);
    for (&chunk, bytes) in chunks.iter().zip(full.as_chunks_mut::<{ LANES / 2 }>().0) {
        nibbles(code(chunk), bytes);
    }
    if !tail.is_empty() {
        let mut last = [0.0; LANES];
        last[..tail.len()].copy_from_slice(tail);
        nibbles(code(last), rest);
    }
}

/// The number of midpoints below each value: fifteen comparisons for all lanes, without branches or table lookups.
#[inline(always)]
fn count(values: [f32; LANES], search: &Search) -> [u32; LANES] {
    let mut counts = [0; LANES];
    for midpoint in search.midpoints {
        for lane in 0..LANES {
            counts[lane] += u32::from(midpoint < values[lane]);
        }
    }
    counts
}

#[inline(always)]
fn reorder(counts: [u32; LANES], search: &Search) -> [u32; LANES] {
    counts.map(|count| u32::from(search.order[(count & 15) as usize]))
}

/// Decodes one block: each value is the table value times the absmax, rounded once.
pub fn decode(codes: &[u8], absmax: f32, data_type: DataType4Bit, out: &mut [f32]) {
    // Sixteen products per block instead of one per value.
    let table: [f32; 16] = match data_type {
        DataType4Bit::Int4 => {
            let scale = absmax / 7.0;
            std::array::from_fn(|code| ((code as i32 ^ 8) - 8) as f32 * scale)
        }
        DataType4Bit::Nf4 | DataType4Bit::Fp4 => data_type.table().map(|value| value * absmax),
    };
    let (pairs, tail) = out.as_chunks_mut::<2>();
    for (pair, &byte) in pairs.iter_mut().zip(codes) {
        *pair = [table[usize::from(byte >> 4)], table[usize::from(byte & 15)]];
    }
    if let ([last], Some(byte)) = (tail, codes.last()) {
        *last = table[usize::from(byte >> 4)];
    }
}
