//! The merging of neighbours that byte-level BPE and SentencePiece share: the best pair of neighbours becomes one symbol
//! until none is left.

use std::collections::BinaryHeap;

/// A symbol: a range of the text. Merged symbols are empty.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol {
    pub start: usize,
    pub len: usize,
    /// What the symbol is, in terms of the caller.
    pub value: Option<u32>,
    previous: Option<usize>,
    next: Option<usize>,
}

/// A candidate. Greater ones are merged first; of equal ones the leftmost.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    rank: i64,
    left: std::cmp::Reverse<usize>,
    right: usize,
    len: usize,
    value: u32,
}

/// Symbols of these lengths and values.
pub(super) fn symbols(parts: impl Iterator<Item = (usize, Option<u32>)>) -> Vec<Symbol> {
    let mut start = 0;
    let mut symbols: Vec<Symbol> = Vec::new();
    for (index, (len, value)) in parts.enumerate() {
        symbols.push(Symbol { start, len, value, previous: index.checked_sub(1), next: Some(index + 1) });
        start += len;
    }
    if let Some(last) = symbols.last_mut() {
        last.next = None;
    }
    symbols
}

/// Merges neighbours. `rank` returns the rank and the value of what a pair becomes; greater ranks come first.
pub(super) fn merge(symbols: &mut [Symbol], mut rank: impl FnMut(&Symbol, &Symbol) -> Option<(i64, u32)>) {
    let mut queue = BinaryHeap::new();
    let mut add = |symbols: &[Symbol], queue: &mut BinaryHeap<Pair>, left: usize, right: usize| {
        if let Some((rank, value)) = rank(&symbols[left], &symbols[right]) {
            let len = symbols[left].len + symbols[right].len;
            queue.push(Pair { rank, left: std::cmp::Reverse(left), right, len, value });
        }
    };
    for right in 1..symbols.len() {
        add(symbols, &mut queue, right - 1, right);
    }
    while let Some(Pair { left: std::cmp::Reverse(left), right, len, value, .. }) = queue.pop() {
        // A pair is outdated if one of its symbols has been merged since.
        if symbols[left].len == 0 || symbols[right].len == 0 || symbols[left].len + symbols[right].len != len {
            continue;
        }
        let next = symbols[right].next;
        (symbols[left].len, symbols[left].value, symbols[left].next) = (len, Some(value), next);
        symbols[right].len = 0;
        if let Some(next) = next {
            symbols[next].previous = Some(left);
        }
        if let Some(previous) = symbols[left].previous {
            add(symbols, &mut queue, previous, left);
        }
        if let Some(next) = next {
            add(symbols, &mut queue, left, next);
        }
    }
}
