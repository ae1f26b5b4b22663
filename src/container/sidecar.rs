//! Validation of file names that a model's files contain. These names are untrusted, and callers open the files they
//! name.

use crate::error::{Code, Error, Result};

/// Checks that `name`, found in `place` ("the index"), is the plain name of a file in the same folder.
///
/// Such a name refers to the same file as a path on every operating system and as the last segment of a URL. Spaces and
/// printable Unicode are allowed.
///
/// # Errors
/// [`Code::MALFORMED`] with `file` for a name that could refer to anything else: an empty one, `.` or `..`, or a name
/// with a separator (`/`, `\`), a colon (URL schemes, drive letters, alternate streams), a percent-encoded byte or a
/// control character.
pub fn check_sidecar_name(place: &str, name: &str) -> Result<()> {
    let wrong = if name.is_empty() {
        "it is empty"
    } else if name.chars().all(|character| character == '.') || name.ends_with([' ', '.']) {
        // Windows ignores trailing dots and spaces.
        "it is '.' or '..', or ends in a dot or a space"
    } else if name.contains(['/', '\\']) {
        "it contains '/' or '\\'"
    } else if name.contains(':') {
        "it contains ':'"
    } else if has_percent_encoding(name) {
        "it contains a percent-encoded byte"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else {
        return Ok(());
    };
    let message = format!(
        "{place} refers to the file {name:?}, but {wrong}; only plain names of files in the same folder are allowed. Correct the name or rename the file"
    );
    Err(Error::new(Code::MALFORMED, message).with("file", name))
}

/// Whether a `%` is followed by two hexadecimal digits; some servers decode such names twice.
fn has_percent_encoding(name: &str) -> bool {
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    name.as_bytes().windows(3).any(|w| w.first() == Some(&b'%') && hex(w.get(1)) && hex(w.get(2)))
}
