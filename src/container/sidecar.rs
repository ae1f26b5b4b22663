//! Names of other files that a file of a model contains. They come from strangers, and callers open what they name.

use crate::error::{Code, Error, Result};

/// Checks that `name`, which `place` ("the index") contains, is the plain name of a file in the same folder.
///
/// Such a name means the same file as a path of any system and as the last segment of a URL. Spaces and any printable
/// Unicode are allowed.
///
/// # Errors
/// [`Code::MALFORMED`] with `file` for a name that can lead anywhere else: one that is empty, is `.` or `..`, or has a
/// separator (`/`, `\`), a colon (URL schemes, drive letters, alternate streams), a percent-encoded byte, or a control
/// character.
pub fn check_sidecar_name(place: &str, name: &str) -> Result<()> {
    let wrong = if name.is_empty() {
        "it is empty"
    } else if name.chars().all(|character| character == '.') || name.ends_with([' ', '.']) {
        // Windows ignores dots and spaces at the end.
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
        "{place} names the file {name:?}, and {wrong}: only plain names of files in the same folder are followed. Fix the name or rename the file"
    );
    Err(Error::new(Code::MALFORMED, message).with("file", name))
}

/// Whether a `%` is followed by two hexadecimal digits: some servers decode such names twice.
fn has_percent_encoding(name: &str) -> bool {
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    name.as_bytes().windows(3).any(|w| w.first() == Some(&b'%') && hex(w.get(1)) && hex(w.get(2)))
}
