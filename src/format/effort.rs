//! How long formats take to encode.

/// How long a format takes to encode, in classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Millions of weights in a second.
    Low,
    /// A search over a non-uniform codebook: a million weights in a second.
    High,
    /// A search over a lattice: a few hundred thousand weights in a second.
    VeryHigh,
}

impl Effort {
    /// The encoding cost of the format of this name.
    pub fn of(format: &str) -> Effort {
        match format.get(..4) {
            Some("IQ1_" | "IQ2_" | "IQ3_") => Effort::VeryHigh,
            Some("IQ4_") => Effort::High,
            _ => Effort::Low,
        }
    }
}
