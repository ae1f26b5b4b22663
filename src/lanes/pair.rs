//! Two doubles at once, for sums over many weights. Splitting a sum in two shortens the dependency chain and lets it
//! vectorise.

use std::array;
use std::ops::{Add, Mul, Sub};

/// Two doubles.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Doubles([f64; 2]);

macro_rules! operator {
    ($($trait:ident $method:ident)+) => {$(
        impl $trait for Doubles {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Doubles(array::from_fn(|i| $trait::$method(self.0[i], other.0[i])))
            }
        }
    )+};
}
operator! { Add add  Sub sub  Mul mul }

impl Doubles {
    /// Converts four floats to two pairs.
    #[inline(always)]
    pub fn of(floats: &[f32; 4]) -> [Self; 2] {
        let [a, b, c, d] = floats.map(f64::from);
        [Doubles([a, b]), Doubles([c, d])]
    }
    /// Fills both with the same double.
    #[inline(always)]
    pub fn splat(value: f64) -> Self {
        Doubles([value; 2])
    }
    /// Absolute value: clears the sign bit.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Doubles(self.0.map(f64::abs))
    }
    /// C's `self < other ? other : self`: returns the first operand for NaN and equal values.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Doubles(array::from_fn(|i| if self.0[i] < other.0[i] { other.0[i] } else { self.0[i] }))
    }
    /// 1 where `self > other`, 0 elsewhere.
    #[inline(always)]
    pub fn above(self, other: Self) -> Self {
        Doubles(array::from_fn(|i| f64::from(u8::from(self.0[i] > other.0[i]))))
    }
    /// Returns both doubles.
    #[inline(always)]
    pub fn to_array(self) -> [f64; 2] {
        self.0
    }
}
