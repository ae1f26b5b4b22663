//! One sort for everything that is not hot: each closure would be another copy of the library's (10 kB of WebAssembly).

use std::cmp::Ordering;

/// The things in the order of `compare`, equal ones as they came.
pub fn sorted<T: Copy>(things: &[T], compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(things.len(), &|a, b| compare(&things[a], &things[b]));
    order.into_iter().map(|i| things[i]).collect()
}

fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
    order
}

/// Brings the `limit` smallest numbers to the front, in any order, and forgets the others.
pub fn keep_smallest(numbers: &mut Vec<u128>, limit: usize) {
    if limit < numbers.len() {
        numbers.select_nth_unstable(limit);
        numbers.truncate(limit);
    }
}
