//! Allocation of sizes that come from the input: an error where the standard library would abort the process.

use crate::error::{Code, Error, Result};

/// Allocates `len` default values. A size that cannot be allocated is an error rather than an abort of the process.
///
/// # Errors
/// [`Code::TOO_LARGE`] for more bytes than one allocation can have (2 GiB in WebAssembly), [`Code::NO_MEMORY`] if the
/// allocator has not enough memory.
pub fn zeros<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    reserve(&mut out, len)?;
    out.resize(len, T::default());
    Ok(out)
}

/// Reserves space for `len` more values in `out`.
///
/// # Errors
/// As for [`zeros`].
pub fn reserve<T>(out: &mut Vec<T>, len: usize) -> Result<()> {
    out.try_reserve_exact(len).map_err(|_| out_of_memory(len, size_of::<T>()))
}

#[cold]
#[inline(never)]
fn out_of_memory(len: usize, size: usize) -> Error {
    let limit = isize::MAX as u64;
    let bytes = (len as u64).saturating_mul(size as u64);
    if bytes > limit {
        let message =
            format!("{len} values need {bytes} bytes in one allocation; the limit is {limit}. Use smaller pieces");
        return Error::new(Code::TOO_LARGE, message).with("bytes", bytes).with("limit", limit);
    }
    let message = format!("out of memory: {len} values need {bytes} bytes. Use smaller pieces");
    Error::new(Code::NO_MEMORY, message).with("bytes", bytes)
}
