//! Argument checks shared by all modules, each with one error message.

use crate::error::{Code, Error, Result};

/// Returns the index of the first NaN or infinite value.
pub fn first_non_finite(values: &[f32]) -> Option<usize> {
    // The exponent of a non-finite float is all ones, so adding one to it carries into the sign bit. A single OR over
    // the carries checks a whole chunk.
    const CHUNK: usize = 64;
    let carry = |x: &f32| (x.to_bits() & 0x7f80_0000) + 0x0080_0000;
    let found = |chunk: &[f32]| chunk.iter().fold(0, |any, x| any | carry(x)) >> 31 == 1;
    let chunk = values.chunks(CHUNK).position(found)?;
    let at = values[chunk * CHUNK..].iter().position(|x| !x.is_finite())?;
    Some(chunk * CHUNK + at)
}

/// Checks that every value is finite. `what` is the noun for one value in the error message ("weight").
///
/// # Errors
/// [`Code::NON_FINITE`] with the index of the first non-finite value.
pub fn finite(values: &[f32], what: &str) -> Result<()> {
    first_non_finite(values).map_or(Ok(()), |index| Err(non_finite(values[index], index, what)))
}

/// The error for a non-finite `value` at `index`.
#[cold]
pub fn non_finite(value: f32, index: usize, what: &str) -> Error {
    Error::new(Code::NON_FINITE, format!("{what} {index} is {value}, and must be a finite number")).with("index", index)
}

/// Checks that a length is the expected one.
///
/// # Errors
/// [`Code::LENGTH`] with both lengths.
pub fn length(what: &str, actual: usize, expected: usize) -> Result<()> {
    if actual == expected {
        return Ok(());
    }
    let message = format!("{what} has length {actual}; it must be {expected}");
    Err(Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected))
}

/// Checks that `value` lies in `low..=high`; `name` is used in the error message.
///
/// # Errors
/// [`Code::RANGE`] with the value and both bounds.
pub fn within<T>(name: &'static str, value: T, low: T, high: T) -> Result<()>
where
    T: PartialOrd + Copy + std::fmt::Display + Into<f64>,
{
    if value >= low && value <= high {
        return Ok(());
    }
    let message = format!("{name} is {value}, and must be from {low} to {high}");
    Err(Error::new(Code::RANGE, message)
        .with(name, value.into())
        .with("minimum", low.into())
        .with("maximum", high.into()))
}

/// Returns the number of elements of a tensor of this shape. The empty shape is a scalar's: one element.
///
/// # Errors
/// [`Code::TOO_LARGE`] if the product overflows `usize`.
pub fn elements(shape: &[usize]) -> Result<usize> {
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n)).ok_or_else(|| {
        Error::new(Code::TOO_LARGE, format!("a tensor of shape {shape:?} has more elements than the address space"))
    })
}

/// Checks that a tensor has as many values as its shape says.
///
/// # Errors
/// [`Code::LENGTH`] if it has not, [`Code::TOO_LARGE`] if the shape overflows.
pub fn shape(what: &str, actual: usize, shape: &[usize]) -> Result<()> {
    let expected = elements(shape)?;
    if actual == expected {
        return Ok(());
    }
    let message = format!("{what} has {actual} elements, but the shape {shape:?} has {expected}");
    Err(Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_non_finite_value_at_any_position() {
        for at in [0, 1, 63, 64, 65, 127, 199] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = vec![f32::MAX; 200];
                values[at] = bad;
                values[199] = bad;
                assert_eq!(first_non_finite(&values), Some(at));
                assert_eq!(finite(&values, "weight").unwrap_err().code(), Code::NON_FINITE);
            }
        }
        assert_eq!(first_non_finite(&[f32::MAX, f32::MIN_POSITIVE / 2.0, -0.0]), None);
    }

    #[test]
    fn shapes_multiply_without_overflow() {
        assert_eq!(elements(&[]).unwrap(), 1);
        assert_eq!(elements(&[2, 0, 3]).unwrap(), 0);
        assert_eq!(elements(&[usize::MAX, 2]).unwrap_err().code(), Code::TOO_LARGE);
        assert_eq!(shape("weights", 5, &[2, 3]).unwrap_err().code(), Code::LENGTH);
    }
}
