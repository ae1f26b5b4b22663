//! A uniform sample of bounded size from a stream of any length; samples can be merged.

use crate::error::{Code, Error, Result};
use crate::sort::{keep_smallest, sorted};
use crate::validation;

/// The `capacity` values with the smallest keys, where each value of the stream has a pseudo-random 64-bit key.
///
/// Every subset of that size is equally likely, whatever the order of the stream, as with reservoir sampling. Unlike
/// reservoirs, two samples can be merged exactly: the smallest keys of both are the sample of the joint stream. A
/// stream that fits is kept completely. ("Bottom-k" or KMV sampling; Cohen and Kaplan 2007.)
#[derive(Clone, Debug)]
pub struct Reservoir {
    capacity: usize,
    seed: u64,
    seen: u64,
    /// Keys with the values' bits in the low half ([`entry`]). Unordered, up to twice the capacity; when full, most of
    /// the surplus is removed, which costs constant time per value.
    kept: Vec<u128>,
    /// Entries with keys at or above this one are no longer among the smallest.
    bound: u64,
}

/// The maximum capacity: 12 MB when serialized.
pub const MAX_SAMPLES: usize = 1 << 20;

/// Compares the samples without the surplus.
impl PartialEq for Reservoir {
    fn eq(&self, other: &Self) -> bool {
        let of = |sample: &Reservoir| (sample.capacity, sample.seed, sample.seen);
        of(self) == of(other) && self.entries() == other.entries()
    }
}

fn entry(key: u64, value: f32) -> u128 {
    u128::from(key) << 32 | u128::from(value.to_bits())
}

fn key(entry: u128) -> u64 {
    (entry >> 32) as u64
}

impl Reservoir {
    /// Creates an empty sample. Equal seeds and equal streams give equal samples.
    ///
    /// # Errors
    /// [`Code::RANGE`] unless `capacity` is 1 to 1,048,576.
    pub fn new(capacity: usize, seed: u64) -> Result<Self> {
        validation::within("maxSamples", capacity as f64, 1.0, MAX_SAMPLES as f64)?;
        Ok(Reservoir { capacity, seed, seen: 0, kept: Vec::new(), bound: u64::MAX })
    }

    /// A sample from its serialized parts; `None` if `seen` values cannot leave this many.
    pub(super) fn from_parts(capacity: usize, seed: u64, seen: u64, kept: Vec<(u64, f32)>) -> Option<Self> {
        let kept: Vec<_> = kept.into_iter().map(|(key, value)| entry(key, value)).collect();
        let whole = kept.len() as u64 == seen.min(capacity as u64);
        let mut sample = Reservoir { kept, seen, ..Reservoir::new(capacity, seed).ok()? };
        sample.trim();
        whole.then_some(sample)
    }

    /// Adds the next values of the stream.
    pub fn extend(&mut self, values: &[f32]) {
        for &value in values {
            let key = mix(mix(self.seed ^ u64::from(value.to_bits())) ^ self.seen);
            self.seen += 1;
            if key < self.bound {
                self.kept.push(entry(key, value));
                if self.kept.len() >= 2 * self.capacity {
                    self.trim();
                }
            }
        }
    }

    /// Merges the sample of another stream: the result is the sample of both together.
    ///
    /// # Errors
    /// [`Code::ARGUMENT`] if the capacities differ.
    pub fn merge(&mut self, other: &Reservoir) -> Result<()> {
        if self.capacity != other.capacity {
            let message = format!("samples with capacities {} and {} cannot be merged", self.capacity, other.capacity);
            return Err(Error::new(Code::ARGUMENT, message));
        }
        self.kept.extend_from_slice(&other.kept);
        self.seen = self.seen.saturating_add(other.seen);
        self.trim();
        Ok(())
    }

    /// Removes values that are certainly not among the smallest keys.
    ///
    /// Keys are nearly uniform, so a histogram finds a bound that removes almost all of the surplus: two sequential
    /// passes, a third of the time of selecting exactly the smallest. The exact selection is done when the sample is
    /// read.
    fn trim(&mut self) {
        const BUCKETS: usize = 4096;
        let shift = (u64::BITS - self.bound.leading_zeros()).saturating_sub(BUCKETS.ilog2());
        let bucket = |entry: &u128| ((key(*entry) >> shift) as usize).min(BUCKETS - 1);
        let mut counts = [0usize; BUCKETS];
        for entry in &self.kept {
            counts[bucket(entry)] += 1;
        }
        let mut below = 0;
        let last = counts.iter().position(|count| {
            below += count;
            below >= self.capacity
        });
        let Some(last) = last else { return };
        if below <= self.capacity + self.capacity / 8 && last + 1 < BUCKETS {
            self.kept.retain(|entry| bucket(entry) <= last);
            self.bound = (last as u64 + 1) << shift;
        } else {
            // Few keys, or keys that were chosen on purpose.
            keep_smallest(&mut self.kept, self.capacity);
            // Equal keys are kept, because the choice between two values with one key must not depend on the order.
            self.bound = self.kept.iter().max().map_or(u64::MAX, |&entry| key(entry).saturating_add(1));
        }
    }

    /// The sampled values in ascending order of their keys, independent of how samples were merged.
    pub(super) fn entries(&self) -> Vec<(u64, f32)> {
        let mut entries = sorted(&self.kept, Ord::cmp);
        entries.truncate(self.capacity);
        entries.into_iter().map(|entry| (key(entry), f32::from_bits(entry as u32))).collect()
    }

    /// The sampled values, in unspecified order.
    pub fn values(&self) -> Vec<f32> {
        let mut kept = self.kept.clone();
        keep_smallest(&mut kept, self.capacity);
        kept.into_iter().map(|entry| f32::from_bits(entry as u32)).collect()
    }

    /// The number of values added.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The maximum number of values kept.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}

/// SplitMix64's finalizer: a 64-bit bijection with pseudo-random output (Steele, Lea, Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking
    use super::*;

    #[test]
    fn dropped_values_are_never_among_the_smallest() {
        // Keys as generated, all in one bucket, many equal, all equal. Among equal keys the later entry is the smaller
        // one.
        for spread in [|key: u64| key, |key: u64| key >> 30, |key: u64| key >> 59, |_| 7] {
            let (mut sample, mut all) = (Reservoir::new(1000, 0).unwrap(), Vec::new());
            for (key, value) in (0..8000u64).map(|i| (spread(mix(i)), (8000 - i) as f32)) {
                all.push((key, value));
                if key < sample.bound {
                    sample.kept.push(entry(key, value));
                }
                if sample.kept.len() >= 2000 {
                    sample.trim();
                }
                // At every stage, because later keys would hide missing ones.
                if all.len() >= 1000 && all.len().is_multiple_of(5) {
                    let mut smallest = all.clone();
                    smallest.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
                    assert_eq!(sample.entries(), smallest[..1000]);
                }
            }
            assert_eq!(sample.values().len(), 1000);
        }
    }
}
