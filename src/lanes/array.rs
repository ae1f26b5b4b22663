//! N lanes as an array, which the compiler turns into the vector instructions of the target.

use super::lane::{Lanes, Mask};
use crate::round;
use std::array;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// N float lanes in an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<const N: usize>([f32; N]);

/// N comparison results in an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayMask<const N: usize>([bool; N]);

#[inline(always)]
fn map<const N: usize, T: Copy, U>(a: [T; N], f: impl Fn(T) -> U) -> [U; N] {
    array::from_fn(|i| f(a[i]))
}

#[inline(always)]
fn zip<const N: usize, T: Copy, U>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> U) -> [U; N] {
    array::from_fn(|i| f(a[i], b[i]))
}

macro_rules! operator {
    ($($type:ident $trait:ident $method:ident)+) => {$(
        impl<const N: usize> $trait for $type<N> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                $type(zip(self.0, other.0, $trait::$method))
            }
        }
    )+};
}
operator! { Array Add add  Array Sub sub  Array Mul mul  Array Div div  ArrayMask BitAnd bitand  ArrayMask BitOr bitor }

impl<const N: usize> Neg for Array<N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Array(map(self.0, Neg::neg))
    }
}

impl<const N: usize> Not for ArrayMask<N> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        ArrayMask(map(self.0, Not::not))
    }
}

impl<const N: usize> Mask for ArrayMask<N> {
    #[inline(always)]
    fn any(self) -> bool {
        self.0.contains(&true)
    }
    #[inline(always)]
    fn bits(self) -> u8 {
        self.0.iter().rev().fold(0, |bits, lane| bits << 1 | u8::from(*lane))
    }
}

impl<const N: usize> Lanes for Array<N> {
    const N: usize = N;
    type Mask = ArrayMask<N>;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Array([value; N])
    }
    #[inline(always)]
    fn from_fn(value: impl FnMut(usize) -> f32) -> Self {
        Array(array::from_fn(value))
    }
    #[inline(always)]
    fn lane(self, index: usize) -> f32 {
        self.0[index]
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Array(map(self.0, f32::abs))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Array(map(self.0, f32::sqrt))
    }
    #[inline(always)]
    fn trunc(self) -> Self {
        Array(map(self.0, round::trunc))
    }
    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        Array(zip(self.0, sign.0, f32::copysign))
    }
    #[inline(always)]
    fn lt(self, other: Self) -> ArrayMask<N> {
        ArrayMask(zip(self.0, other.0, |a, b| a < b))
    }
    #[inline(always)]
    fn le(self, other: Self) -> ArrayMask<N> {
        ArrayMask(zip(self.0, other.0, |a, b| a <= b))
    }
    #[inline(always)]
    fn eq(self, other: Self) -> ArrayMask<N> {
        ArrayMask(zip(self.0, other.0, |a, b| a == b))
    }
    #[inline(always)]
    fn select(mask: ArrayMask<N>, yes: Self, no: Self) -> Self {
        Array(array::from_fn(|i| if mask.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    fn nearest_int(self) -> Self {
        Array(map(self.0, Lanes::nearest_int))
    }
}
