//! How an enum with fields is read: a flat object whose `kind` says which of its other fields are needed.
//!
//! serde's `tag` would do it too, through a buffer for any value and a visitor for every variant: four such enums were
//! 60 kB of WebAssembly.

/// A field that its kind needs.
pub fn needed<T>(kind: &str, name: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("{kind} needs {name}"))
}

/// The answer to a kind that there is not.
pub fn unknown<T>(kind: &str, known: &[&str]) -> Result<T, String> {
    Err(format!("kind '{kind}' is none of {}", known.join(", ")))
}
