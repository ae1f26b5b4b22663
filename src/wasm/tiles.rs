//! Processes a caller's arrays tile by tile, so that data passing through the engine stays in the CPU cache, and the
//! engine's memory does not grow with the tensor.

use crate::error::Result;
use crate::validation;
use js_sys::{Float32Array, Float64Array, Object, Uint8Array};
use std::ops::Range;
use wasm_bindgen::JsValue;

/// Values per tile: 128 KB of floats. A multiple of every block size, of the pieces in which codes are packed, and of
/// the tiles in which errors are summed, so tiling does not change any result.
pub const TILE: usize = 1 << 15;

/// The tiles of `len` values; a single tile unless input and output are `apart` in memory.
pub fn tiles(len: usize, apart: bool) -> impl Iterator<Item = Range<usize>> {
    let tile = if apart { TILE } else { len.max(1) };
    (0..len).step_by(tile).map(move |start| start..len.min(start + tile))
}

/// The tiles of `count` units with `size` elements each, in groups of `together` units.
pub fn tiles_of(count: usize, size: usize, together: usize) -> impl Iterator<Item = Range<usize>> {
    let together = together.max(1);
    let step = (TILE / size / together).max(1) * together;
    (0..count).step_by(step).map(move |start| start..count.min(start + step))
}

/// The operations on typed arrays that tiling needs.
pub trait Array {
    /// The element type.
    type Item: Copy + Default;
    /// The number of elements.
    fn len(&self) -> usize;
    /// The underlying `ArrayBuffer`.
    fn memory(&self) -> JsValue;
    /// Copies the elements in `range` to `out`.
    fn read(&self, range: Range<usize>, out: &mut [Self::Item]);
    /// Writes `values` from index `start`.
    fn write(&self, start: usize, values: &[Self::Item]);
}

macro_rules! array {
    ($($array:ty: $item:ty),+) => {$(
        impl Array for $array {
            type Item = $item;
            fn len(&self) -> usize {
                self.length() as usize
            }
            fn memory(&self) -> JsValue {
                self.buffer().into()
            }
            fn read(&self, range: Range<usize>, out: &mut [$item]) {
                self.subarray(range.start as u32, range.end as u32).copy_to(out);
            }
            fn write(&self, start: usize, values: &[$item]) {
                self.subarray(start as u32, (start + values.len()) as u32).copy_from(values);
            }
        }
    )+};
}
array! { Float32Array: f32, Float64Array: f64, Uint8Array: u8 }

/// An array that is read tile by tile.
pub struct Input<'a, A: Array> {
    array: &'a A,
    tile: Vec<A::Item>,
}

impl<'a, A: Array> Input<'a, A> {
    /// Creates an input without reading anything.
    pub fn new(array: &'a A) -> Self {
        Input { array, tile: Vec::new() }
    }

    /// Reads the values of a range within the array.
    pub fn read(&mut self, range: Range<usize>) -> &[A::Item] {
        self.tile.resize(range.len(), A::Item::default());
        self.array.read(range, &mut self.tile);
        &self.tile
    }
}

/// Calls `each` with every tile of `array`.
///
/// # Errors
/// The errors of `each`.
pub fn for_each_tile<A: Array>(array: &A, mut each: impl FnMut(&[A::Item]) -> Result<()>) -> Result<()> {
    let mut input = Input::new(array);
    tiles(array.len(), true).try_for_each(|range| each(input.read(range)))
}

/// Calls `make` for every tile of `input` with its start, its values, and the slice of `out` to fill.
///
/// # Errors
/// The errors of `make`; earlier tiles have been written.
pub fn map_tiles<I: Array, O: Array>(
    input: &I,
    mut out: Output<'_, O>,
    mut make: impl FnMut(usize, &[I::Item], &mut [O::Item]) -> Result<()>,
) -> Result<()> {
    let (apart, mut tile) = (out.is_apart(input), Input::new(input));
    tiles(input.len(), apart).try_for_each(|range| {
        let values = tile.read(range.clone());
        out.write(range.clone(), |out| make(range.start, values, out))
    })
}

/// Calls `make` for every tile of whole blocks with its values and the slice of `out` to fill; a block has `sizes`
/// elements in `input` and in `out`.
///
/// # Errors
/// The errors of `make`; earlier tiles have been written.
pub fn map_blocks<I: Array, O: Array>(
    input: &I,
    mut out: Output<'_, O>,
    sizes: [usize; 2],
    mut make: impl FnMut(&[I::Item], &mut [O::Item]) -> Result<()>,
) -> Result<()> {
    let (apart, mut tile) = (out.is_apart(input), Input::new(input));
    let (blocks, [from, to]) = (input.len() / sizes[0], sizes);
    tiles_of(blocks, from.max(to), if apart { 1 } else { blocks }).try_for_each(|range| {
        let values = tile.read(range.start * from..range.end * from);
        out.write(range.start * to..range.end * to, |out| make(values, out))
    })
}

/// Fills an array of `len` elements, named `what` in messages. The inputs of `make` have been copied, so it may be one
/// of them.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) for another length and the errors of `make`; then nothing is written.
pub fn fill<A: Array>(
    what: &str,
    array: &A,
    len: usize,
    make: impl FnOnce(&mut [A::Item]) -> Result<()>,
) -> Result<()> {
    Output::new(what, array, len)?.write(0..len, make)
}

/// An array that is written tile by tile.
pub struct Output<'a, A: Array> {
    array: &'a A,
    tile: Vec<A::Item>,
}

impl<'a, A: Array> Output<'a, A> {
    /// Creates an output of `len` elements.
    ///
    /// # Errors
    /// [`Code::LENGTH`](crate::Code::LENGTH) if `array`, named `what` in the message, has a different length.
    pub fn new(what: &str, array: &'a A, len: usize) -> Result<Self> {
        validation::length(what, array.len(), len)?;
        Ok(Output { array, tile: Vec::new() })
    }

    /// Whether writing cannot change `input`, because they have different `ArrayBuffer`s.
    pub fn is_apart(&self, input: &impl Array) -> bool {
        !Object::is(&self.array.memory(), &input.memory())
    }

    /// Writes the elements of `range` that `make` computes.
    ///
    /// # Errors
    /// The errors of `make`, in which case nothing is written.
    pub fn write(&mut self, range: Range<usize>, make: impl FnOnce(&mut [A::Item]) -> Result<()>) -> Result<()> {
        self.tile.resize(range.len(), A::Item::default());
        make(&mut self.tile)?;
        self.array.write(range.start, &self.tile);
        Ok(())
    }
}
