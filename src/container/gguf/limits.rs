//! Limits of GGUF files, and the constants of the format.

/// Maximum size of a header, which is kept in memory. The largest known ones (vocabularies of 260 000 tokens) have 20 MB.
pub const MAX_HEADER_BYTES: u64 = 256 << 20;
/// Maximum number of tensors in a file. The largest known models have a few thousand.
pub const MAX_TENSORS: u64 = 1 << 20;
/// Maximum number of metadata pairs in a file. Models have a few dozen.
pub const MAX_PAIRS: u64 = 1 << 16;
/// Maximum length of a string. Chat templates have about 100 kB.
pub const MAX_STRING_BYTES: u64 = 64 << 20;
/// Maximum length of a key: the limit of the specification.
pub const MAX_KEY_BYTES: u64 = 65_535;
/// Maximum length of a tensor name. The specification allows 64 bytes; image models use twice that.
pub const MAX_NAME_BYTES: u64 = 1024;
/// Maximum nesting of arrays; each level is one recursion.
pub const MAX_NESTING: u32 = 4;
/// Maximum number of dimensions of a tensor, as in ggml.
pub const MAX_DIMS: u32 = 4;
/// Maximum number of dimensions of a tensor when reading: kernels of video models in files for ComfyUI-GGUF have five.
pub const MAX_READ_DIMS: u32 = 5;
/// Maximum `general.alignment`. Every tensor is padded to it, so it limits the size of the output for a small input.
pub const MAX_ALIGNMENT: u32 = 1 << 20;
/// The alignment of a file without `general.alignment`.
pub const DEFAULT_ALIGNMENT: u32 = 32;

/// The metadata key of the alignment.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The first bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// Rounds up to a multiple of a power of two.
pub(super) fn align(at: u64, alignment: u32) -> u64 {
    at.checked_next_multiple_of(alignment.into()).unwrap_or(u64::MAX)
}
