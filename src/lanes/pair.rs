//! Two doubles at once: what sums over many weights are kept in. One sum grows slower in two halves, and vectorises.

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
    /// Four floats, two and two.
    #[inline(always)]
    pub fn of(floats: &[f32; 4]) -> [Self; 2] {
        let [a, b, c, d] = floats.map(f64::from);
        [Doubles([a, b]), Doubles([c, d])]
    }
    /// The same double twice.
    #[inline(always)]
    pub fn splat(value: f64) -> Self {
        Doubles([value; 2])
    }
    /// Magnitude: clears the sign bit.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Doubles(self.0.map(f64::abs))
    }
    /// C's `self < other ? other : self`: the first operand wins on NaN and equality.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Doubles(array::from_fn(|i| if self.0[i] < other.0[i] { other.0[i] } else { self.0[i] }))
    }
    /// 1 where `self > other`, otherwise 0.
    #[inline(always)]
    pub fn above(self, other: Self) -> Self {
        Doubles(array::from_fn(|i| f64::from(u8::from(self.0[i] > other.0[i]))))
    }
    /// The first and the second.
    #[inline(always)]
    pub fn to_array(self) -> [f64; 2] {
        self.0
    }
}
