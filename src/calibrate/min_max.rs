//! The minimum and maximum of values, and the handling of non-finite values.

use crate::error::Result;
use crate::validation;
#[cfg(feature = "serde")]
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How an observer handles NaN and infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum NonFinite {
    /// Reject the batch with [`Code::NON_FINITE`](crate::Code::NON_FINITE) and the index of the first one; earlier
    /// observations are kept.
    #[default]
    Error,
    /// Skip and count them.
    Skip,
}

/// A closed interval with finite ends, `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(Serialize, Deserialize))]
pub struct MinMax {
    /// The minimum.
    pub min: f32,
    /// The maximum.
    pub max: f32,
}

impl MinMax {
    /// The minimum and maximum of finite `values`; `None` if there are none.
    pub fn of(values: &[f32]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        // Eight running extremes: minimum and maximum are independent of the order, and eight lanes vectorise.
        const LANES: usize = 8;
        let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let (chunks, tail) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                low[i] = if chunk[i] < low[i] { chunk[i] } else { low[i] };
                high[i] = if chunk[i] > high[i] { chunk[i] } else { high[i] };
            }
        }
        let min = low.iter().chain(tail).copied().fold(f32::INFINITY, f32::min);
        let max = high.iter().chain(tail).copied().fold(f32::NEG_INFINITY, f32::max);
        Some(MinMax { min, max })
    }

    /// The smallest interval that contains both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        MinMax { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The intersection with `other`, which must overlap.
    #[must_use]
    pub fn clip(self, other: Self) -> Self {
        MinMax { min: self.min.max(other.min), max: self.max.min(other.max) }
    }

    /// The largest magnitude.
    pub fn magnitude(self) -> f32 {
        self.min.abs().max(self.max.abs())
    }
}

/// Returns the finite values, applying the policy to the others.
///
/// # Errors
/// [`Code::NON_FINITE`](crate::Code::NON_FINITE) with the index of the first NaN or infinite value under
/// [`NonFinite::Error`].
pub fn finite(values: &[f32], policy: NonFinite) -> Result<Cow<'_, [f32]>> {
    match (validation::first_non_finite(values), policy) {
        (None, _) => Ok(Cow::Borrowed(values)),
        (Some(_), NonFinite::Skip) => Ok(values.iter().copied().filter(|x| x.is_finite()).collect()),
        (Some(index), NonFinite::Error) => Err(validation::non_finite(values[index], index, "value")),
    }
}
