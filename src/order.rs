//! One sort for all code that is not hot: each call of the library's sort with its own closure adds 10 kB of
//! WebAssembly.

use std::cmp::Ordering;

/// Returns the elements sorted by `compare`; the sort is stable.
pub fn sorted<T: Copy>(things: &[T], compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(things.len(), &|a, b| compare(&things[a], &things[b]));
    order.into_iter().map(|i| things[i]).collect()
}

fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
    order
}

/// Keeps the `limit` smallest numbers, in any order, and drops the rest.
pub fn keep_smallest(numbers: &mut Vec<u128>, limit: usize) {
    if limit < numbers.len() {
        numbers.select_nth_unstable(limit);
        numbers.truncate(limit);
    }
}
