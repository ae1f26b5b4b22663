//! Deserializing an enum with fields from a flat object whose `kind` selects the variant and the fields it requires.
//!
//! serde's `tag` attribute would do this too, but it buffers any value and generates a visitor per variant: 60 kB of
//! WebAssembly for four such enums.

/// Returns a field that `kind` requires.
pub fn required<T>(kind: &str, name: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("{kind} needs {name}"))
}

/// The error for an unknown kind.
pub fn unknown_kind<T>(kind: &str, known: &[&str]) -> Result<T, String> {
    Err(format!("unknown kind '{kind}'; the known kinds are {}", known.join(", ")))
}
