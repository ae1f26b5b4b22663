//! Checks that the output fits on its disk before anything is written, with the rule and the error of the npm package.

use crate::error::{Code, Error, Result};
use std::path::Path;

/// The bytes that can still be written to the file system of `folder`; `None` if it does not report them, as some
/// network and virtual file systems do not.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = fs4::statvfs(folder).ok()?;
    (found.total_space() > 0).then(|| found.available_space())
}

/// Checks that `needed` bytes for the output `path` are not more than the free bytes, if those are known.
///
/// # Errors
/// [`Code::NO_SPACE`] with both numbers.
pub fn check(path: &Path, needed: u64, free: Option<u64>) -> Result<()> {
    let Some(free) = free.filter(|free| *free < needed) else { return Ok(()) };
    let path = path.display().to_string();
    let message = format!("cannot write '{path}': it needs {needed} bytes, but the disk has only {free} free");
    Err(Error::new(Code::NO_SPACE, message).with("path", path.as_str()).with("needed", needed).with("free", free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_exceeds_the_free_space_is_refused_with_both_numbers() {
        let path = Path::new("out.gguf");
        assert!([Some(100), Some(101), None].into_iter().all(|free| check(path, 100, free).is_ok()));
        let error = check(path, 100, Some(99)).unwrap_err();
        assert_eq!(error.code(), Code::NO_SPACE);
        assert_eq!(error.message(), "cannot write 'out.gguf': it needs 100 bytes, but the disk has only 99 free");
        let details: Vec<_> = error.details().iter().map(|(name, _)| *name).collect();
        assert_eq!(details, ["path", "needed", "free"]);
    }

    #[test]
    fn the_free_space_of_a_real_folder_is_known_and_that_of_a_missing_one_is_not() {
        assert!(free_bytes(&std::env::temp_dir()).is_some_and(|free| free > 0));
        assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
        let error = check(Path::new("out.gguf"), u64::MAX, free_bytes(&std::env::temp_dir())).unwrap_err();
        assert_eq!(error.code(), Code::NO_SPACE);
    }
}
