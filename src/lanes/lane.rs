//! The SIMD trait. Each lane is an independent problem; one problem is never split across lanes.

use crate::round::{BELOW_HALF, MAGIC};
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// The result of a comparison, per lane.
pub trait Mask: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    /// Whether any lane is true.
    fn any(self) -> bool;
    /// Whether all lanes are true.
    fn all(self) -> bool {
        !(!self).any()
    }
    /// A bit mask: bit `i` is lane `i`.
    fn bits(self) -> u8;
}

/// N floats, each belonging to an independent problem.
///
/// Every operation rounds once per lane, as IEEE single precision does, so an algorithm written over `Lanes` produces
/// the same bytes for every N. There is deliberately no horizontal sum and no fused multiply-add: either would change
/// bytes. Small integers (codes and their products) are represented as floats, which are exact below 2^24.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self> + 'static
{
    /// The number of lanes.
    const N: usize;
    /// The result type of comparisons.
    type Mask: Mask;

    /// Fills every lane with the same value.
    fn splat(value: f32) -> Self;
    /// Fills lane `i` with `value(i)`.
    fn from_fn(value: impl FnMut(usize) -> f32) -> Self;
    /// Returns the value of lane `index`.
    fn lane(self, index: usize) -> f32;

    /// Loads the first `N` values into the lanes, for element-wise operations.
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        Self::from_fn(|lane| values[lane])
    }
    /// Writes the lanes, integers in `0..256`, to the first `N` bytes. NaN becomes 0.
    #[inline(always)]
    fn put_bytes(self, bytes: &mut [u8]) {
        for (lane, byte) in bytes[..Self::N].iter_mut().enumerate() {
            *byte = self.lane(lane) as u8;
        }
    }
    /// Writes `value(code)` for sixteen codes. The codes are signed because converting unsigned integers takes eight
    /// instructions on x86-64.
    #[inline(always)]
    fn decode_to_f32(codes: &[i8; 16], out: &mut [f32; 16], value: impl Fn(Self) -> Self) {
        for (codes, out) in codes.chunks_exact(Self::N).zip(out.chunks_exact_mut(Self::N)) {
            let value = value(Self::from_fn(|lane| f32::from(codes[lane])));
            for (lane, out) in out.iter_mut().enumerate() {
                *out = value.lane(lane);
            }
        }
    }

    /// Writes `value(code)` for eight codes. Without this method the compiler gathers such codes byte by byte if their
    /// positions depend on bits.
    #[inline(always)]
    fn widen_signed(codes: &[i8; 8], out: &mut [f32; 8], value: impl Fn(Self) -> Self) {
        for (codes, out) in codes.chunks_exact(Self::N).zip(out.chunks_exact_mut(Self::N)) {
            let value = value(Self::from_fn(|lane| f32::from(codes[lane])));
            for (lane, out) in out.iter_mut().enumerate() {
                *out = value.lane(lane);
            }
        }
    }

    /// Absolute value: clears the sign bit.
    fn abs(self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Rounds toward zero, like C's `truncf`.
    fn trunc(self) -> Self;
    /// `self < other`; false for NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// `self <= other`; false for NaN.
    fn le(self, other: Self) -> Self::Mask;
    /// `self == other`; false for NaN.
    fn eq(self, other: Self) -> Self::Mask;
    /// Selects per lane: `mask ? yes : no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// Clears per lane: `mask ? 0 : self`.
    #[inline(always)]
    fn zero_where(self, mask: Self::Mask) -> Self {
        Self::select(mask, Self::splat(0.0), self)
    }
    /// ggml's `nearest_int` as a float, including its results for huge values and NaN ([`crate::round::nearest_int`]).
    fn nearest_int(self) -> Self;

    /// [`Lanes::nearest_int`] for magnitudes below 2^22, which only needs an addition and a subtraction.
    #[inline(always)]
    fn nearest_small(self) -> Self {
        self + Self::splat(MAGIC) - Self::splat(MAGIC)
    }
    /// The integer in a lane that holds a small integer.
    #[inline(always)]
    fn int(self, lane: usize) -> i32 {
        self.lane(lane) as i32
    }
    /// C's conversion of an integer to `uint8_t`, for integers returned by [`Lanes::nearest_int`].
    #[inline(always)]
    fn low_byte(self) -> Self {
        // With this offset the value is positive, where truncation equals floor.
        let raised = self + Self::splat(4_194_304.0);
        raised - (raised * Self::splat(1.0 / 256.0)).trunc() * Self::splat(256.0)
    }
    /// C's conversion to `int` as compiled for x86-64, for values of which only the low byte is kept: truncates. Values
    /// outside the range of `int` (NaN, infinities, huge values), for which C gives `INT_MIN`, become 0.
    #[inline(always)]
    fn trunc_or_zero(self) -> Self {
        Self::select(self.abs().lt(Self::splat(2_147_483_648.0)), self.trunc(), Self::splat(0.0))
    }
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// C's `roundf`: rounds ties away from zero ([`crate::round::half_away`]).
    #[inline(always)]
    fn half_away(self) -> Self {
        (self + Self::splat(BELOW_HALF).copysign(self)).trunc()
    }

    /// C's `other < self ? other : self`: returns the first operand for NaN and equal values.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(other.lt(self), other, self)
    }
    /// C's `self < other ? other : self`: returns the first operand for NaN and equal values.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.lt(other), other, self)
    }
    /// Loads `values[i * stride]` into lane `i`: the same element of N problems that are `stride` apart.
    #[inline(always)]
    fn gather(values: &[f32], stride: usize) -> Self {
        Self::from_fn(|lane| values[lane * stride])
    }
}
