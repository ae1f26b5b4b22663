//! One sort for all code that is not hot: each call of the standard library's sort with its own closure or type adds
//! 5 to 30 kB of WebAssembly.

use std::cmp::Ordering;

/// Returns the elements sorted by `compare`; the sort is stable.
pub fn sorted<T: Copy>(things: &[T], compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let (mut sort, mut moves) = (MergeSort::new(things.len()), usize::MAX);
    sort.step(&mut moves, &|a, b| compare(&things[a], &things[b]));
    sort.into_order().into_iter().map(|i| things[i]).collect()
}

/// A stable merge sort from the bottom up, in steps of bounded work; an eighth of the code of the standard library's
/// sort.
#[derive(Debug)]
pub struct MergeSort {
    /// The indices of the elements: sorted runs of `width`.
    order: Vec<usize>,
    /// The runs of twice that width that have been merged so far.
    merged: Vec<usize>,
    width: usize,
    /// The next element of the left and of the right run, and the end of the left run.
    left: usize,
    right: usize,
    middle: usize,
    /// The end of the right run; until the first pair of runs is begun, 0.
    end: usize,
}

impl MergeSort {
    /// A sort of `len` elements.
    pub fn new(len: usize) -> Self {
        MergeSort {
            order: (0..len).collect(),
            merged: Vec::with_capacity(len),
            width: 1,
            left: 0,
            right: 0,
            middle: 0,
            end: 0,
        }
    }

    /// Moves at most `moves` elements, and subtracts those from it; returns whether all are sorted. `compare` must be the
    /// same each time.
    pub fn step(&mut self, moves: &mut usize, compare: &dyn Fn(usize, usize) -> Ordering) -> bool {
        let len = self.order.len();
        while self.width < len {
            if self.merged.len() == self.end {
                self.begin_pair(compare);
            }
            while self.merged.len() < self.end {
                if *moves == 0 {
                    return false;
                }
                *moves -= 1;
                let (left, right) = (self.left, self.right);
                let is_right = left == self.middle
                    || right < self.end && compare(self.order[left], self.order[right]) == Ordering::Greater;
                let next = if is_right { &mut self.right } else { &mut self.left };
                self.merged.push(self.order[*next]);
                *next += 1;
            }
            if self.end == len {
                std::mem::swap(&mut self.order, &mut self.merged);
                self.merged.clear();
                (self.width, self.end) = (self.width.saturating_mul(2), 0);
            }
        }
        true
    }

    /// Begins with the next two runs. If they are in order already, they count as one, whose elements are not compared.
    fn begin_pair(&mut self, compare: &dyn Fn(usize, usize) -> Ordering) {
        let (len, start) = (self.order.len(), self.end);
        self.end = start.saturating_add(self.width.saturating_mul(2)).min(len);
        let middle = start.saturating_add(self.width).min(len);
        let ordered = middle == self.end || compare(self.order[middle - 1], self.order[middle]) != Ordering::Greater;
        self.middle = if ordered { self.end } else { middle };
        (self.left, self.right) = (start, self.middle);
    }

    /// The indices of the elements in sorted order, once all are sorted.
    pub fn into_order(self) -> Vec<usize> {
        self.order
    }
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

    #[test]
    fn a_sort_in_steps_moves_a_bounded_number_of_elements_in_each() {
        let keys: Vec<u64> = (0..1000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54).collect();
        let mut want: Vec<usize> = (0..keys.len()).collect();
        want.sort_by_key(|i| keys[*i]);
        for most in [1, 7, 300, 5000] {
            let compared = std::cell::Cell::new(0);
            let compare = |a: usize, b: usize| {
                compared.set(compared.get() + 1);
                keys[a].cmp(&keys[b])
            };
            let (mut sort, mut steps) = (MergeSort::new(keys.len()), 1);
            while !sort.step(&mut most.clone(), &compare) {
                // One for each element that is moved, and one for each pair of runs that is begun.
                assert!(compared.take() <= 2 * most + 1);
                steps += 1;
            }
            assert!(steps >= 10 * keys.len() / most, "{steps} steps of {most}");
            assert_eq!(sort.into_order(), want);
        }
    }

    #[test]
    fn sorted_runs_are_not_compared_element_by_element() {
        let compared = std::cell::Cell::new(0);
        let mut sort = MergeSort::new(1024);
        let mut moves = usize::MAX;
        let all = sort.step(&mut moves, &|a, b| {
            compared.set(compared.get() + 1);
            a.cmp(&b)
        });
        assert!(all && sort.into_order().is_sorted());
        assert_eq!((compared.get(), usize::MAX - moves), (1023, 10 * 1024));
    }
}
