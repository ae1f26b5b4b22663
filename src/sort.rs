//! One sort for all code that is not hot: each call of the standard library's sort with its own closure or type adds
//! 5 to 30 kB of WebAssembly.

use std::cmp::Ordering;

/// Returns the elements sorted by `compare`; the sort is stable.
pub fn sorted<T: Copy>(things: &[T], compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(things.len(), &|a, b| compare(&things[a], &things[b]));
    order.into_iter().map(|i| things[i]).collect()
}

/// A merge sort from the bottom up, an eighth of the code of the standard library's.
fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    let mut width = 1;
    while width < len {
        let mut merged = Vec::with_capacity(len);
        for pair in order.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some((&a, rest_left)), Some((&b, rest_right))) = (left.split_first(), right.split_first()) {
                if compare(a, b) == Ordering::Greater {
                    merged.push(b);
                    right = rest_right;
                } else {
                    merged.push(a);
                    left = rest_left;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        order = merged;
        width *= 2;
    }
    order
}

/// Keeps the `limit` smallest numbers, in any order, and drops the rest.
pub fn keep_smallest(numbers: &mut Vec<u128>, limit: usize) {
    if limit < numbers.len() {
        numbers.select_nth_unstable(limit);
        numbers.truncate(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_equals_the_stable_sort_of_std() {
        for len in 0..70u64 {
            // Keys of few values, so that many are equal.
            let things: Vec<(u64, u64)> = (0..len).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60, i)).collect();
            let mut want = things.clone();
            want.sort_by_key(|thing| thing.0);
            assert_eq!(sorted(&things, |a, b| a.0.cmp(&b.0)), want);
        }
    }
}
