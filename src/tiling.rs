//! Arrays that are processed tile by tile, so that the data passing through stays in the CPU cache: slices, and in
//! WebAssembly the caller's typed arrays, of which the engine's memory holds only one tile at a time.

use crate::error::Result;
use std::ops::Range;

/// Values per tile: 128 KB of floats. A multiple of every block size, of the pieces in which codes are packed, and of
/// the parts in which errors are summed, so tiling does not change any result.
pub const TILE: usize = 1 << 15;

/// An array that is read tile by tile.
pub trait Input {
    /// The element type.
    type Item;

    /// The number of elements.
    fn len(&self) -> usize;

    /// The elements of a range within the array.
    fn read(&mut self, range: Range<usize>) -> &[Self::Item];

    /// All elements.
    ///
    /// # Errors
    /// As for [`allocation::zeros`](crate::allocation::zeros), if they have to be copied.
    fn read_all(&mut self) -> Result<&[Self::Item]>;
}

/// An array that is written tile by tile.
pub trait Output {
    /// The element type.
    type Item;

    /// The number of elements.
    fn len(&self) -> usize;

    /// The number of values to read before writing: a tile, or all of them if writing would change an input.
    fn tile(&self) -> usize;

    /// Writes the elements of `range` that `make` computes.
    ///
    /// # Errors
    /// Those of `make`.
    fn write(&mut self, range: Range<usize>, make: impl FnOnce(&mut [Self::Item]) -> Result<()>) -> Result<()>;
}

impl<T> Input for &[T] {
    type Item = T;

    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    fn read(&mut self, range: Range<usize>) -> &[T] {
        &self[range]
    }

    fn read_all(&mut self) -> Result<&[T]> {
        Ok(self)
    }
}

impl<I: Input> Input for &mut I {
    type Item = I::Item;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&mut self, range: Range<usize>) -> &[I::Item] {
        (**self).read(range)
    }

    fn read_all(&mut self) -> Result<&[I::Item]> {
        (**self).read_all()
    }
}

impl<T> Output for &mut [T] {
    type Item = T;

    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    fn tile(&self) -> usize {
        TILE
    }

    fn write(&mut self, range: Range<usize>, make: impl FnOnce(&mut [T]) -> Result<()>) -> Result<()> {
        make(&mut self[range])
    }
}

/// The ranges of `len` values in tiles of `tile`.
pub fn tiles(len: usize, tile: usize) -> impl Iterator<Item = Range<usize>> {
    let tile = tile.max(1);
    (0..len).step_by(tile).map(move |start| start..len.min(start.saturating_add(tile)))
}

/// The tiles of `count` units of `size` elements each, in whole groups of `together` units; `tile` counts elements.
pub fn tiles_of(count: usize, size: usize, together: usize, tile: usize) -> impl Iterator<Item = Range<usize>> {
    let together = together.max(1);
    tiles(count, (tile / size.max(1) / together).max(1).saturating_mul(together))
}

/// Calls `each` with the elements of every tile, in order.
///
/// # Errors
/// Those of `each`.
pub fn for_each_tile<I: Input>(mut input: I, mut each: impl FnMut(&[I::Item]) -> Result<()>) -> Result<()> {
    tiles(input.len(), TILE).try_for_each(|range| each(input.read(range)))
}

/// Calls `make` for every tile of `input` with its start, its elements, and as many elements of `out` to fill.
///
/// # Errors
/// Those of `make`; earlier tiles have been written.
pub fn map_tiles<I: Input, O: Output>(
    mut input: I,
    mut out: O,
    mut make: impl FnMut(usize, &[I::Item], &mut [O::Item]) -> Result<()>,
) -> Result<()> {
    tiles(input.len(), out.tile()).try_for_each(|range| {
        let values = input.read(range.clone());
        out.write(range.clone(), |out| make(range.start, values, out))
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::cell::RefCell;

    /// An array that an input and an output share, as typed arrays over one buffer do.
    pub struct Shared<'a, T> {
        array: &'a RefCell<Vec<T>>,
        start: usize,
        len: usize,
        copy: Vec<T>,
    }

    impl<'a, T> Shared<'a, T> {
        pub fn new(array: &'a RefCell<Vec<T>>, start: usize, len: usize) -> Self {
            Shared { array, start, len, copy: Vec::new() }
        }
    }

    impl<T: Clone> Input for Shared<'_, T> {
        type Item = T;

        fn len(&self) -> usize {
            self.len
        }

        fn read(&mut self, range: Range<usize>) -> &[T] {
            assert!(range.end <= self.len);
            self.copy = self.array.borrow()[self.start + range.start..self.start + range.end].to_vec();
            &self.copy
        }

        fn read_all(&mut self) -> Result<&[T]> {
            Ok(self.read(0..self.len))
        }
    }

    impl<T: Clone> Output for Shared<'_, T> {
        type Item = T;

        fn len(&self) -> usize {
            self.len
        }

        fn tile(&self) -> usize {
            usize::MAX
        }

        fn write(&mut self, range: Range<usize>, make: impl FnOnce(&mut [T]) -> Result<()>) -> Result<()> {
            assert!(range.end <= self.len);
            make(&mut self.array.borrow_mut()[self.start + range.start..self.start + range.end])
        }
    }

    #[test]
    fn tiles_cover_every_value_once_in_order() {
        for (len, tile) in [(0, 4), (1, 4), (4, 4), (9, 4), (9, usize::MAX), (3, 0)] {
            let all: Vec<usize> = tiles(len, tile).flatten().collect();
            assert_eq!(all, (0..len).collect::<Vec<_>>(), "{len} in tiles of {tile}");
            assert!(tiles(len, tile).all(|range| range.len() <= tile.max(1)));
        }
    }

    #[test]
    fn groups_of_units_are_never_divided() {
        let found: Vec<_> = tiles_of(10, 32, 3, 100).collect();
        assert_eq!(found, [0..3, 3..6, 6..9, 9..10]);
        let found: Vec<_> = tiles_of(10, 8, 3, 100).collect();
        assert_eq!(found, vec![0..10; 1]);
        assert_eq!(tiles_of(0, 32, 0, 100).count(), 0);
        assert_eq!(tiles_of(7, 32, 1, usize::MAX).collect::<Vec<_>>(), vec![0..7; 1]);
    }

    #[test]
    fn an_output_that_overlaps_its_input_is_written_after_everything_is_read() {
        let len = 3 * TILE;
        let array = RefCell::new((0..=len).collect::<Vec<_>>());
        let (input, out) = (Shared::new(&array, 0, len), Shared::new(&array, 1, len));
        map_tiles(input, out, |_, values, out| {
            out.clone_from_slice(values);
            Ok(())
        })
        .unwrap();
        assert!(array.borrow().iter().enumerate().all(|(index, value)| *value == index.saturating_sub(1)));
    }
}
