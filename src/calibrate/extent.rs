//! The smallest and the largest of some values, and what happens to those that are not numbers.

use crate::check;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What an observer does with a NaN or an infinity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonFinite {
    /// Refuse the batch with [`Code::NON_FINITE`](crate::Code::NON_FINITE) and the index of the first one; what was observed before stays.
    #[default]
    Error,
    /// Leave them out and count them.
    Skip,
}

/// A closed interval of finite numbers: `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

impl Extent {
    /// The extent of finite `values`; `None` if there are none.
    pub fn of(values: &[f32]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        // Eight running extremes: minimum and maximum do not depend on the order, and eight lanes vectorise.
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
        Some(Extent { min, max })
    }

    /// The smallest interval that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Extent { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// The part of this interval inside `other`, which touches it.
    #[must_use]
    pub fn clip(self, other: Self) -> Self {
        Extent { min: self.min.max(other.min), max: self.max.min(other.max) }
    }

    /// The largest magnitude.
    pub fn magnitude(self) -> f32 {
        self.min.abs().max(self.max.abs())
    }
}

/// The finite ones of `values` under a policy.
///
/// # Errors
/// [`Code::NON_FINITE`](crate::Code::NON_FINITE) with the index of the first NaN or infinity, if the policy is to refuse.
pub fn finite(values: &[f32], policy: NonFinite) -> Result<Cow<'_, [f32]>> {
    match (check::first_non_finite(values), policy) {
        (None, _) => Ok(Cow::Borrowed(values)),
        (Some(_), NonFinite::Skip) => Ok(values.iter().copied().filter(|x| x.is_finite()).collect()),
        (Some(index), NonFinite::Error) => Err(check::non_finite(values[index], index, "value")),
    }
}
