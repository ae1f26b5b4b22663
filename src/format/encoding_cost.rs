//! How long formats take to encode.

/// How long a format takes to encode, in classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EncodingCost {
    /// Millions of weights in a second.
    Low,
    /// A search over a non-uniform codebook: a million weights in a second.
    High,
    /// A search over a lattice: a few hundred thousand weights in a second.
    VeryHigh,
}

impl EncodingCost {
    /// The encoding cost of the format of this name.
    pub fn of(format: &str) -> EncodingCost {
        match format.get(..4) {
            Some("IQ1_" | "IQ2_" | "IQ3_") => EncodingCost::VeryHigh,
            Some("IQ4_") => EncodingCost::High,
            _ => EncodingCost::Low,
        }
    }
}
