//! Converts errors of the operating system to [`Error`]s.

use crate::error::{Code, Error, Kind};
use std::io;
use std::path::Path;

/// The caller aborted the work.
pub const ABORTED: Code = Code { kind: Kind::Io, name: "ABORTED" };

/// An output file is also an input file, or two outputs are the same file.
pub const SAME_FILE: Code = Code { kind: Kind::Parameter, name: "SAME_FILE" };

/// Converts `error` to an [`Error`] whose message starts with `what` ("cannot read") and the path.
pub fn system(error: &io::Error, what: &str, path: &Path) -> Error {
    use io::ErrorKind as K;
    let (code, reason) = match error.kind() {
        K::NotFound => (Code::NOT_FOUND, "there is no such file or folder".to_owned()),
        K::NotADirectory => (Code::NOT_FOUND, "a component of the path is not a folder".to_owned()),
        K::PermissionDenied => (Code::DENIED, "permission denied".to_owned()),
        K::ReadOnlyFilesystem => (Code::DENIED, "the file system is read-only".to_owned()),
        K::IsADirectory => (Code::UNSUPPORTED, "it is a directory".to_owned()),
        K::StorageFull => (Code::NO_SPACE, "the disk is full".to_owned()),
        K::QuotaExceeded => (Code::NO_SPACE, "the disk quota is exceeded".to_owned()),
        K::FileTooLarge => {
            (Code::NO_SPACE, "the file would be larger than the file system or a limit allows".to_owned())
        }
        _ => (Code::IO, error.to_string()),
    };
    let path = path.display().to_string();
    Error::new(code, format!("{what} '{path}': {reason}")).with("path", path.as_str())
}
