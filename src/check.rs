//! Checks of what callers pass, each with the one sentence it fails with.

use crate::error::{Code, Error, Result};

/// The index of the first NaN or infinity.
pub fn first_non_finite(values: &[f32]) -> Option<usize> {
    // What is not finite has all ones for an exponent: one more carries into the sign. A whole chunk is checked by one or.
    const CHUNK: usize = 64;
    let carry = |x: &f32| (x.to_bits() & 0x7f80_0000) + 0x0080_0000;
    let found = |chunk: &[f32]| chunk.iter().fold(0, |any, x| any | carry(x)) >> 31 == 1;
    let chunk = values.chunks(CHUNK).position(found)?;
    let at = values[chunk * CHUNK..].iter().position(|x| !x.is_finite())?;
    Some(chunk * CHUNK + at)
}

/// Every value is a number; `what` names one of them ("weight").
///
/// # Errors
/// [`Code::NON_FINITE`] with the index of the first that is not.
pub fn finite(values: &[f32], what: &str) -> Result<()> {
    first_non_finite(values).map_or(Ok(()), |index| Err(non_finite(values[index], index, what)))
}

/// The error of value `index` being NaN or infinite.
#[cold]
pub fn non_finite(value: f32, index: usize, what: &str) -> Error {
    Error::new(Code::NON_FINITE, format!("{what} {index} is {value}, and must be a finite number")).with("index", index)
}

/// Two lengths agree.
///
/// # Errors
/// [`Code::LENGTH`] with both.
pub fn length(what: &str, actual: usize, expected: usize) -> Result<()> {
    if actual == expected {
        return Ok(());
    }
    let message = format!("{what} has length {actual}, and {expected} is needed");
    Err(Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected))
}

/// `name` lies in `low..=high`.
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

/// `len` default values. What a caller's number makes large is an error and not the end of the process.
///
/// # Errors
/// [`Code::TOO_LARGE`] for more bytes than an allocation can have (2 GiB in WebAssembly), [`Code::NO_MEMORY`] if there are
/// not as many.
pub fn zeros<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    room_for(&mut out, len)?;
    out.resize(len, T::default());
    Ok(out)
}

/// Makes room for `len` more values in `out`.
///
/// # Errors
/// Those of [`zeros`].
pub fn room_for<T>(out: &mut Vec<T>, len: usize) -> Result<()> {
    out.try_reserve_exact(len).map_err(|_| no_room(len, size_of::<T>()))
}

#[cold]
#[inline(never)]
fn no_room(len: usize, size: usize) -> Error {
    let limit = isize::MAX as u64;
    let bytes = (len as u64).saturating_mul(size as u64);
    if bytes > limit {
        let message = format!("{len} values take {bytes} bytes at once, and {limit} is the limit; use smaller pieces");
        return Error::new(Code::TOO_LARGE, message).with("bytes", bytes).with("limit", limit);
    }
    let message = format!("{len} values take {bytes} bytes, and there is not as much memory; use smaller pieces");
    Error::new(Code::NO_MEMORY, message).with("bytes", bytes)
}

/// How many elements a tensor of this shape has; the empty shape is a scalar's and has one.
///
/// # Errors
/// [`Code::TOO_LARGE`] if no address space holds that many.
pub fn elements(shape: &[usize]) -> Result<usize> {
    shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n)).ok_or_else(|| {
        Error::new(Code::TOO_LARGE, format!("a tensor of shape {shape:?} has more elements than memory has addresses"))
    })
}

/// A tensor's values are as many as its shape says.
///
/// # Errors
/// [`Code::LENGTH`], [`Code::TOO_LARGE`].
pub fn shape(what: &str, actual: usize, shape: &[usize]) -> Result<()> {
    let expected = elements(shape)?;
    if actual == expected {
        return Ok(());
    }
    let message = format!("{what} has {actual} elements, and the shape {shape:?} has {expected}");
    Err(Error::new(Code::LENGTH, message).with("actual", actual).with("expected", expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_non_finite_value_is_found_wherever_it_is() {
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
