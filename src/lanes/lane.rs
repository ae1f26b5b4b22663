//! The vector trait: N independent problems at once, never one problem split N ways.

use crate::round::{BELOW_HALF, MAGIC};
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// The answer to a comparison, lane by lane.
pub trait Mask: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    /// Whether any lane holds.
    fn any(self) -> bool;
    /// Whether every lane holds.
    fn all(self) -> bool {
        !(!self).any()
    }
    /// Bit `i` is whether lane `i` holds.
    fn bits(self) -> u8;
}

/// N floats, each of them a problem of its own.
///
/// An operation rounds once per lane as IEEE single precision does, so an algorithm written over `Lanes` writes the same
/// bytes for every N. There is deliberately no horizontal sum and no fused multiply-add: either would change bytes.
/// Small integers (codes, their products) are floats here; they are exact below 2^24.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self> + 'static
{
    /// How many problems there are.
    const N: usize;
    /// What comparisons answer.
    type Mask: Mask;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// Lane `i` holds `value(i)`.
    fn from_fn(value: impl FnMut(usize) -> f32) -> Self;
    /// The value of lane `index`.
    fn lane(self, index: usize) -> f32;

    /// The first `N` values: for what has no order, neighbours may be lanes.
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        Self::from_fn(|lane| values[lane])
    }
    /// Writes the lanes, integers in `0..256`, to the first `N` bytes; NaN becomes 0.
    #[inline(always)]
    fn put_bytes(self, bytes: &mut [u8]) {
        for (lane, byte) in bytes[..Self::N].iter_mut().enumerate() {
            *byte = self.lane(lane) as u8;
        }
    }
    /// Writes `value(code)` of sixteen codes. Signed ones: of unsigned integers the conversion takes eight instructions on x86-64.
    #[inline(always)]
    fn widen(codes: &[i8; 16], out: &mut [f32; 16], value: impl Fn(Self) -> Self) {
        for (codes, out) in codes.chunks_exact(Self::N).zip(out.chunks_exact_mut(Self::N)) {
            let value = value(Self::from_fn(|lane| f32::from(codes[lane])));
            for (lane, out) in out.iter_mut().enumerate() {
                *out = value.lane(lane);
            }
        }
    }

    /// Writes `value(code)` of eight codes. By itself the compiler gathers such codes byte by byte where their places follow from bits.
    #[inline(always)]
    fn widen_signed(codes: &[i8; 8], out: &mut [f32; 8], value: impl Fn(Self) -> Self) {
        for (codes, out) in codes.chunks_exact(Self::N).zip(out.chunks_exact_mut(Self::N)) {
            let value = value(Self::from_fn(|lane| f32::from(codes[lane])));
            for (lane, out) in out.iter_mut().enumerate() {
                *out = value.lane(lane);
            }
        }
    }

    /// Magnitude: clears the sign bit.
    fn abs(self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Toward zero, as C's `truncf`.
    fn trunc(self) -> Self;
    /// `self < other`; false for NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// `self <= other`; false for NaN.
    fn le(self, other: Self) -> Self::Mask;
    /// `self == other`; false for NaN.
    fn eq(self, other: Self) -> Self::Mask;
    /// Lane by lane: `mask ? yes : no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// Lane by lane: `mask ? 0 : self`.
    #[inline(always)]
    fn zero_where(self, mask: Self::Mask) -> Self {
        Self::select(mask, Self::splat(0.0), self)
    }
    /// ggml's `nearest_int` as a float, what it does to huge values and NaN included ([`crate::round::nearest_int`]).
    fn nearest_int(self) -> Self;

    /// [`Lanes::nearest_int`] of a magnitude below 2^22, where adding and subtracting is all it takes.
    #[inline(always)]
    fn nearest_small(self) -> Self {
        self + Self::splat(MAGIC) - Self::splat(MAGIC)
    }
    /// A lane that holds a small integer, as one.
    #[inline(always)]
    fn int(self, lane: usize) -> i32 {
        self.lane(lane) as i32
    }
    /// C's conversion of an integer to `uint8_t`, for integers that [`Lanes::nearest_int`] yields.
    #[inline(always)]
    fn low_byte(self) -> Self {
        // Truncation is a floor from here up.
        let raised = self + Self::splat(4_194_304.0);
        raised - (raised * Self::splat(1.0 / 256.0)).trunc() * Self::splat(256.0)
    }
    /// C's conversion to `int` as x86-64 compiles it, for a value whose low byte is kept: truncation, and what no
    /// `int` holds (NaN, infinities, huge values become `INT_MIN`) gives 0.
    #[inline(always)]
    fn trunc_or_zero(self) -> Self {
        Self::select(self.abs().lt(Self::splat(2_147_483_648.0)), self.trunc(), Self::splat(0.0))
    }
    /// `self`'s magnitude with `sign`'s sign.
    fn copysign(self, sign: Self) -> Self;
    /// C's `roundf`: half away from zero ([`crate::round::half_away`]).
    #[inline(always)]
    fn half_away(self) -> Self {
        (self + Self::splat(BELOW_HALF).copysign(self)).trunc()
    }

    /// C's `other < self ? other : self`: the first operand wins on NaN and equality.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(other.lt(self), other, self)
    }
    /// C's `self < other ? other : self`: the first operand wins on NaN and equality.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.lt(other), other, self)
    }
    /// Lane `i` holds `values[i * stride]`: element after element of N problems that lie `stride` apart.
    #[inline(always)]
    fn gather(values: &[f32], stride: usize) -> Self {
        Self::from_fn(|lane| values[lane * stride])
    }
}
