//! Four lanes in a wasm vector. Uses only plain simd128, because relaxed instructions may round differently.

#![allow(unsafe_code)] // loads and stores take pointers, each derived from a reference to sixteen bytes

use super::lane::{Lanes, Mask};
use crate::round::MAGIC;
use core::arch::wasm32::*;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// Four float lanes in a `v128`.
#[derive(Clone, Copy)]
pub struct Simd128(v128);

/// Four comparison results: all bits of a lane set, or none.
#[derive(Clone, Copy)]
pub struct SimdMask(v128);

macro_rules! operator {
    ($($type:ident $trait:ident $method:ident $instruction:ident)+) => {$(
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                $type($instruction(self.0, other.0))
            }
        }
    )+};
}
operator! {
    Simd128 Add add f32x4_add  Simd128 Sub sub f32x4_sub  Simd128 Mul mul f32x4_mul  Simd128 Div div f32x4_div
    SimdMask BitAnd bitand v128_and  SimdMask BitOr bitor v128_or
}

impl Neg for Simd128 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Simd128(f32x4_neg(self.0))
    }
}

impl Not for SimdMask {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        SimdMask(v128_not(self.0))
    }
}

impl Mask for SimdMask {
    #[inline(always)]
    fn any(self) -> bool {
        v128_any_true(self.0)
    }
    #[inline(always)]
    fn bits(self) -> u8 {
        i32x4_bitmask(self.0)
    }
}

impl Lanes for Simd128 {
    const N: usize = 4;
    type Mask = SimdMask;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Simd128(f32x4_splat(value))
    }
    #[inline(always)]
    fn from_fn(mut value: impl FnMut(usize) -> f32) -> Self {
        Simd128(f32x4(value(0), value(1), value(2), value(3)))
    }
    #[inline(always)]
    fn lane(self, index: usize) -> f32 {
        // The instruction needs a constant lane; `index` is a constant after unrolling wherever this is called.
        match index {
            0 => f32x4_extract_lane::<0>(self.0),
            1 => f32x4_extract_lane::<1>(self.0),
            2 => f32x4_extract_lane::<2>(self.0),
            _ => f32x4_extract_lane::<3>(self.0),
        }
    }
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        let four: &[f32; 4] = &values.as_chunks().0[0];
        // SAFETY: `four` has sixteen readable bytes; the instruction needs no alignment.
        Simd128(unsafe { v128_load(four.as_ptr().cast()) })
    }
    #[inline(always)]
    fn put_bytes(self, bytes: &mut [u8]) {
        // The low mantissa bits of 2^23 + n are n; a saturating conversion takes six instructions on x86-64.
        let words = f32x4_add(self.0, f32x4_splat(8_388_608.0));
        let packed = u8x16_shuffle::<0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12>(words, words);
        bytes[..4].copy_from_slice(&u32x4_extract_lane::<0>(packed).to_le_bytes());
    }
    #[inline(always)]
    fn decode_to_f32(codes: &[i8; 16], out: &mut [f32; 16], value: impl Fn(Self) -> Self) {
        // SAFETY: `codes` has sixteen readable bytes.
        let codes = unsafe { v128_load(codes.as_ptr().cast()) };
        let (low, high) = (i16x8_extend_low_i8x16(codes), i16x8_extend_high_i8x16(codes));
        let words = [
            i32x4_extend_low_i16x8(low),
            i32x4_extend_high_i16x8(low),
            i32x4_extend_low_i16x8(high),
            i32x4_extend_high_i16x8(high),
        ];
        for (out, words) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            let value = value(Simd128(f32x4_convert_i32x4(words)));
            // SAFETY: `out` has sixteen writable bytes.
            unsafe { v128_store(out.as_mut_ptr().cast(), value.0) };
        }
    }
    #[inline(always)]
    fn widen_signed(codes: &[i8; 8], out: &mut [f32; 8], value: impl Fn(Self) -> Self) {
        // SAFETY: `codes` has eight readable bytes.
        let words = i16x8_extend_low_i8x16(unsafe { v128_load64_zero(codes.as_ptr().cast()) });
        let words = [i32x4_extend_low_i16x8(words), i32x4_extend_high_i16x8(words)];
        for (out, words) in out.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            let value = value(Simd128(f32x4_convert_i32x4(words)));
            // SAFETY: `out` has sixteen writable bytes.
            unsafe { v128_store(out.as_mut_ptr().cast(), value.0) };
        }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Simd128(f32x4_abs(self.0))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Simd128(f32x4_sqrt(self.0))
    }
    #[inline(always)]
    fn trunc(self) -> Self {
        Simd128(f32x4_trunc(self.0))
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Simd128(v128_bitselect(sign.0, self.0, i32x4_splat(i32::MIN)))
    }
    #[inline(always)]
    fn lt(self, other: Self) -> SimdMask {
        SimdMask(f32x4_lt(self.0, other.0))
    }
    #[inline(always)]
    fn le(self, other: Self) -> SimdMask {
        SimdMask(f32x4_le(self.0, other.0))
    }
    #[inline(always)]
    fn eq(self, other: Self) -> SimdMask {
        SimdMask(f32x4_eq(self.0, other.0))
    }
    #[inline(always)]
    fn select(mask: SimdMask, yes: Self, no: Self) -> Self {
        Simd128(v128_bitselect(yes.0, no.0, mask.0))
    }
    /// A single instruction; older engines compile a select to four.
    #[inline(always)]
    fn zero_where(self, mask: SimdMask) -> Self {
        Simd128(v128_andnot(self.0, mask.0))
    }
    #[inline(always)]
    fn nearest_int(self) -> Self {
        let shifted = f32x4_add(self.0, f32x4_splat(MAGIC));
        let low = v128_and(shifted, i32x4_splat(0x007f_ffff));
        Simd128(f32x4_convert_i32x4(i32x4_sub(low, i32x4_splat(0x0040_0000))))
    }
    /// A single instruction with exactly this semantics: `other < self ? other : self`.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Simd128(f32x4_pmin(self.0, other.0))
    }
    /// A single instruction with exactly this semantics: `self < other ? other : self`.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Simd128(f32x4_pmax(self.0, other.0))
    }
}

/// Two doubles in a `v128`; the counterpart of `pair.rs`.
#[derive(Clone, Copy)]
pub struct SimdDoubles(v128);

macro_rules! operator {
    ($($trait:ident $method:ident $instruction:ident)+) => {$(
        impl $trait for SimdDoubles {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                SimdDoubles($instruction(self.0, other.0))
            }
        }
    )+};
}
operator! { Add add f64x2_add  Sub sub f64x2_sub  Mul mul f64x2_mul }

impl SimdDoubles {
    #[inline(always)]
    pub fn of(floats: &[f32; 4]) -> [Self; 2] {
        let low = Simd128::load(floats).0;
        let high = i64x2_shuffle::<1, 1>(low, low);
        [low, high].map(|floats| SimdDoubles(f64x2_promote_low_f32x4(floats)))
    }
    #[inline(always)]
    pub fn splat(value: f64) -> Self {
        SimdDoubles(f64x2_splat(value))
    }
    #[inline(always)]
    pub fn abs(self) -> Self {
        SimdDoubles(f64x2_abs(self.0))
    }
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        SimdDoubles(f64x2_pmax(self.0, other.0))
    }
    #[inline(always)]
    pub fn above(self, other: Self) -> Self {
        SimdDoubles(v128_and(f64x2_gt(self.0, other.0), f64x2_splat(1.0)))
    }
    #[inline(always)]
    pub fn to_array(self) -> [f64; 2] {
        [f64x2_extract_lane::<0>(self.0), f64x2_extract_lane::<1>(self.0)]
    }
}

/// Looks up sixteen indices, each in `0..16`, in a table of sixteen bytes.
#[inline(always)]
pub fn look_up(table: &[i8; 16], places: &[u8; 16]) -> [i8; 16] {
    let mut found = [0; 16];
    // SAFETY: sixteen readable bytes each, and sixteen writable bytes.
    unsafe {
        let bytes = u8x16_swizzle(v128_load(table.as_ptr().cast()), v128_load(places.as_ptr().cast()));
        v128_store(found.as_mut_ptr().cast(), bytes);
    }
    found
}
