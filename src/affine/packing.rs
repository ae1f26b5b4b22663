//! Packed codes of `bits` bits each, in sequence from the low bit of the first byte.
//!
//! Eight codes fill `bits` bytes, read as one little-endian number. With 4 bits the low nibble comes first, as in
//! ONNX's INT4 and UINT4 and in torchao's `int4`; with 8 bits each byte is one code. Signed codes are in two's
//! complement with `bits` bits.

use crate::allocation;
use crate::error::{Code, Error, Result};
use crate::validation;

/// The size in bytes of `count` packed codes: `ceil(count bits / 8)`.
pub fn packed_len(count: usize, bits: u8) -> usize {
    let bits = usize::from(bits);
    count / 8 * bits + (count % 8 * bits).div_ceil(8)
}

/// Packs codes, given one per byte, into `bits` bits each.
///
/// # Errors
/// [`Code::RANGE`] unless `bits` is 2..=8, or with the index of the first code that does not fit `bits` bits as an
/// unsigned or a signed integer; [`Code::LENGTH`] if `packed` does not have [`packed_len`] bytes.
pub fn pack_codes_into(codes: &[u8], bits: u8, packed: &mut [u8]) -> Result<()> {
    validation::within("bits", bits, 2, 8)?;
    validation::length("the packed output", packed.len(), packed_len(codes.len(), bits))?;
    check_width(codes, bits, None)?;
    pack(codes, bits, packed);
    Ok(())
}

/// [`pack_codes_into`] with a new vector.
///
/// # Errors
/// As for [`pack_codes_into`].
pub fn pack_codes(codes: &[u8], bits: u8) -> Result<Vec<u8>> {
    validation::within("bits", bits, 2, 8)?;
    let mut packed = allocation::zeros(packed_len(codes.len(), bits))?;
    pack_codes_into(codes, bits, &mut packed)?;
    Ok(packed)
}

/// Checks that every code fits `bits` bits as a signed (`Some(true)`), an unsigned, or either kind of integer (`None`).
///
/// # Errors
/// [`Code::RANGE`] unless `bits` is 2..=8, or with the index of the first code that does not fit.
pub fn check_width(codes: &[u8], bits: u8, signed: Option<bool>) -> Result<()> {
    validation::within("bits", bits, 2, 8)?;
    let half = 1i32 << (bits - 1);
    let fits = |code: u8| {
        let unsigned = i32::from(code) < 2 * half;
        let twos_complement = (-half..half).contains(&i32::from(code as i8));
        match signed {
            None => unsigned || twos_complement,
            Some(true) => twos_complement,
            Some(false) => unsigned,
        }
    };
    let Some(index) = codes.iter().position(|&code| !fits(code)) else { return Ok(()) };
    let code = if signed == Some(true) { i32::from(codes[index] as i8) } else { i32::from(codes[index]) };
    let message = format!("code {index} is {code}, which does not fit {bits} bits");
    Err(Error::new(Code::RANGE, message).with("index", index).with("code", f64::from(code)))
}

/// Unpacks codes to one per byte: `i8` if `signed`, otherwise `u8`.
///
/// # Errors
/// [`Code::RANGE`](crate::Code::RANGE) unless `bits` is 2..=8, [`Code::LENGTH`](crate::Code::LENGTH) if `packed` does
/// not have [`packed_len`] bytes for `codes`.
pub fn unpack_codes_into(packed: &[u8], bits: u8, signed: bool, codes: &mut [u8]) -> Result<()> {
    validation::within("bits", bits, 2, 8)?;
    validation::length("the packed input", packed.len(), packed_len(codes.len(), bits))?;
    unpack(packed, bits, signed, codes);
    Ok(())
}

/// [`unpack_codes_into`] with a new vector of `count` codes.
///
/// # Errors
/// As for [`unpack_codes_into`].
pub fn unpack_codes(packed: &[u8], bits: u8, signed: bool, count: usize) -> Result<Vec<u8>> {
    // Checked before allocating, so that a count larger than the data costs nothing.
    validation::within("bits", bits, 2, 8)?;
    validation::length("the packed input", packed.len(), packed_len(count, bits))?;
    let mut codes = allocation::zeros(count)?;
    unpack(packed, bits, signed, &mut codes);
    Ok(codes)
}

/// Checks that every code is in `qmin..=qmax`. Codes are `i8` if `qmin` is negative, otherwise `u8`; `start` is the
/// index of the first one.
///
/// # Errors
/// [`Code::RANGE`] with the index of the first code out of range.
pub(super) fn check_range(codes: &[u8], start: usize, qmin: i32, qmax: i32) -> Result<()> {
    // Adding 128 gives signed codes the order of unsigned ones, so one branchless loop handles both.
    let flip = if qmin < 0 { 0x80 } else { 0 };
    let (low, high) = codes.iter().fold((u8::MAX, 0), |(low, high), &code| {
        let code = code ^ flip;
        (if code < low { code } else { low }, if code > high { code } else { high })
    });
    let inside = |code: u8| (qmin..=qmax).contains(&(i32::from(code ^ flip) - i32::from(flip)));
    if codes.is_empty() || (inside(low ^ flip) && inside(high ^ flip)) {
        return Ok(());
    }
    let index = codes.iter().position(|&code| !inside(code)).unwrap_or(0);
    let code = i32::from(codes[index] ^ flip) - i32::from(flip);
    let message = format!("code {} is {code}, and must be from {qmin} to {qmax}", start + index);
    Err(Error::new(Code::RANGE, message).with("index", start + index).with("code", f64::from(code)))
}

/// Dispatches to one function per width, so that shifts are by constants. `bits` has been checked.
macro_rules! by_width {
    ($bits:expr, $function:ident, $($argument:expr),+) => {
        match $bits {
            2 => $function::<2>($($argument),+),
            3 => $function::<3>($($argument),+),
            4 => $function::<4>($($argument),+),
            5 => $function::<5>($($argument),+),
            6 => $function::<6>($($argument),+),
            7 => $function::<7>($($argument),+),
            _ => $function::<8>($($argument),+),
        }
    };
}

/// [`pack_codes_into`] for checked lengths.
pub(super) fn pack(codes: &[u8], bits: u8, packed: &mut [u8]) {
    by_width!(bits, pack_width, codes, packed);
}

/// [`unpack_codes_into`] for checked lengths.
pub(super) fn unpack(packed: &[u8], bits: u8, signed: bool, codes: &mut [u8]) {
    by_width!(bits, unpack_width, packed, codes);
    if signed && bits < 8 {
        // Sign-extend: move the code's sign bit to the byte's sign bit and shift back arithmetically.
        let shift = 8 - u32::from(bits);
        for code in codes {
            *code = ((*code << shift) as i8 >> shift) as u8;
        }
    }
}

fn pack_width<const BITS: usize>(codes: &[u8], packed: &mut [u8]) {
    let (groups, tail) = codes.as_chunks::<8>();
    let (full, rest) = packed.split_at_mut(groups.len() * BITS);
    for (&group, packed) in groups.iter().zip(full.as_chunks_mut::<BITS>().0) {
        packed.copy_from_slice(&squeeze::<BITS>(group).to_le_bytes()[..BITS]);
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    rest.copy_from_slice(&squeeze::<BITS>(last).to_le_bytes()[..rest.len()]);
}

fn unpack_width<const BITS: usize>(packed: &[u8], codes: &mut [u8]) {
    let (groups, tail) = codes.as_chunks_mut::<8>();
    let (full, rest) = packed.split_at(groups.len() * BITS);
    let spread = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        spread::<BITS>(u64::from_le_bytes(word))
    };
    for (group, packed) in groups.iter_mut().zip(full.as_chunks::<BITS>().0) {
        *group = spread(packed);
    }
    tail.copy_from_slice(&spread(rest)[..tail.len()]);
}

/// Packs the low `BITS` bits of eight bytes next to each other, merging pairs, then fours, then all eight.
#[inline(always)]
fn squeeze<const BITS: usize>(codes: [u8; 8]) -> u64 {
    let gap = 8 - BITS;
    let word = u64::from_le_bytes(codes) & (0x0101_0101_0101_0101 * ((1 << BITS) - 1));
    let word = (word & 0x00ff_00ff_00ff_00ff) | (word & 0xff00_ff00_ff00_ff00) >> gap;
    let word = (word & 0x0000_ffff_0000_ffff) | (word & 0xffff_0000_ffff_0000) >> (2 * gap);
    (word & 0x0000_0000_ffff_ffff) | (word & 0xffff_ffff_0000_0000) >> (4 * gap)
}

/// The inverse of [`squeeze`].
#[inline(always)]
fn spread<const BITS: usize>(word: u64) -> [u8; 8] {
    let gap = 8 - BITS;
    let low = |count: usize| u64::MAX >> (64 - count * BITS);
    let word = (word & low(4)) | (word & !low(4)) << (4 * gap);
    let two = low(2) | low(2) << 32;
    let word = (word & two) | (word & two << (2 * BITS)) << (2 * gap);
    let one = low(1) | low(1) << 16 | low(1) << 32 | low(1) << 48;
    ((word & one) | (word & one << BITS) << gap).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A simple reference implementation, bit by bit.
    fn pack_slowly(codes: &[u8], bits: u8) -> Vec<u8> {
        let mut packed = vec![0; packed_len(codes.len(), bits)];
        for (i, code) in codes.iter().enumerate() {
            for bit in 0..usize::from(bits) {
                let at = i * usize::from(bits) + bit;
                packed[at / 8] |= (code >> bit & 1) << (at % 8);
            }
        }
        packed
    }

    #[test]
    fn packing_matches_bit_by_bit_packing_and_unpacks_for_every_width_and_length() {
        let codes: Vec<u8> = (0..67u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for bits in 2..=8u8 {
            for count in 0..codes.len() {
                let mask = (1u16 << bits) as u8;
                let unsigned: Vec<u8> = codes[..count].iter().map(|c| c & mask.wrapping_sub(1)).collect();
                let signed: Vec<u8> = unsigned.iter().map(|c| ((c << (8 - bits)) as i8 >> (8 - bits)) as u8).collect();
                let packed = pack_codes(&unsigned, bits).unwrap();
                assert_eq!(packed, pack_slowly(&unsigned, bits), "{bits} bits, {count}");
                assert_eq!(packed, pack_codes(&signed, bits).unwrap(), "{bits} bits, {count}");
                assert_eq!(unpack_codes(&packed, bits, false, count).unwrap(), unsigned);
                assert_eq!(unpack_codes(&packed, bits, true, count).unwrap(), signed);
            }
        }
    }

    #[test]
    fn four_bit_codes_are_packed_low_nibble_first() {
        assert_eq!(pack_codes(&[1, 2, 0xff], 4).unwrap(), [0x21, 0x0f]);
    }

    #[test]
    fn rejects_codes_wider_than_the_bits() {
        let error = pack_codes(&[7, 0xf8, 100], 4).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::RANGE, "code 2 is 100, which does not fit 4 bits"));
        assert!(check_width(&[12], 4, None).is_ok() && check_width(&[12], 4, Some(false)).is_ok());
        assert_eq!(check_width(&[12], 4, Some(true)).unwrap_err().code(), Code::RANGE);
        assert_eq!(check_width(&[0xf8], 4, Some(false)).unwrap_err().code(), Code::RANGE);
        for bits in 2..=8 {
            let all = |signed| (0..=255u8).filter(|&code| check_width(&[code], bits, signed).is_ok()).count();
            assert_eq!((all(Some(true)), all(Some(false))), (1 << bits, 1 << bits), "{bits}");
        }
    }

    #[test]
    fn rejects_mismatched_lengths_and_widths() {
        assert_eq!(pack_codes(&[1], 9).unwrap_err().code(), Code::RANGE);
        assert_eq!(unpack_codes(&[1], 1, true, 8).unwrap_err().code(), Code::RANGE);
        assert_eq!(unpack_codes(&[1, 2], 4, true, usize::MAX).unwrap_err().code(), Code::LENGTH);
        assert_eq!(pack_codes_into(&[1, 2], 4, &mut [0; 2]).unwrap_err().code(), Code::LENGTH);
        assert_eq!(unpack_codes_into(&[1], 4, true, &mut [0; 3]).unwrap_err().code(), Code::LENGTH);
    }
}
