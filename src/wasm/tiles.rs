//! A caller's arrays, tile by tile: what passes through the engine stays in the processor's cache, and the engine's memory
//! does not grow with the tensor.

use crate::check;
use crate::error::Result;
use js_sys::{Float32Array, Object, Uint8Array};
use std::ops::Range;
use wasm_bindgen::JsValue;

/// Values per tile: 128 KB of floats. A multiple of every block size, of the pieces in which codes are packed, and of the
/// tiles in which errors are summed, so that tiles change no result.
pub const TILE: usize = 1 << 15;

/// The tiles of `len` values; only one unless what is read and what is written lie `apart`.
pub fn tiles(len: usize, apart: bool) -> impl Iterator<Item = Range<usize>> {
    let tile = if apart { TILE } else { len.max(1) };
    (0..len).step_by(tile).map(move |start| start..len.min(start + tile))
}

/// The tiles of `count` units of `size` elements, each of whole groups of `together` units.
pub fn tiles_of(count: usize, size: usize, together: usize) -> impl Iterator<Item = Range<usize>> {
    let together = together.max(1);
    let step = (TILE / size / together).max(1) * together;
    (0..count).step_by(step).map(move |start| start..count.min(start + step))
}

/// A typed array, as far as tiles need it.
pub trait Array {
    /// What it holds.
    type Item: Copy + Default;
    /// How many.
    fn len(&self) -> usize;
    /// Its `ArrayBuffer`.
    fn memory(&self) -> JsValue;
    /// Copies what lies in `range`.
    fn read(&self, range: Range<usize>, out: &mut [Self::Item]);
    /// Writes `values` from `start` on.
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
array! { Float32Array: f32, Uint8Array: u8 }

/// An array that is read tile by tile.
pub struct Input<'a, A: Array> {
    array: &'a A,
    tile: Vec<A::Item>,
}

impl<'a, A: Array> Input<'a, A> {
    /// Nothing is read yet.
    pub fn new(array: &'a A) -> Self {
        Input { array, tile: Vec::new() }
    }

    /// The values of a range that the array has.
    pub fn read(&mut self, range: Range<usize>) -> &[A::Item] {
        self.tile.resize(range.len(), A::Item::default());
        self.array.read(range, &mut self.tile);
        &self.tile
    }
}

/// Calls `each` with tile after tile of `array`.
///
/// # Errors
/// What `each` fails with.
pub fn for_each_tile<A: Array>(array: &A, mut each: impl FnMut(&[A::Item]) -> Result<()>) -> Result<()> {
    let mut input = Input::new(array);
    tiles(array.len(), true).try_for_each(|range| each(input.read(range)))
}

/// Calls `make` with the start of tile after tile of `input`, its values, and as many of `out` to fill.
///
/// # Errors
/// What `make` fails with: the tiles before it are written.
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

/// Calls `make` with tile after tile of whole blocks and with what is to become of them; a block has `sizes` elements of
/// `input` and of `out`.
///
/// # Errors
/// What `make` fails with: the tiles before it are written.
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

/// An array that is written tile by tile.
pub struct Output<'a, A: Array> {
    array: &'a A,
    tile: Vec<A::Item>,
}

impl<'a, A: Array> Output<'a, A> {
    /// An output of `len` elements.
    ///
    /// # Errors
    /// [`Code::LENGTH`](crate::Code::LENGTH) if `array`, which is called `what`, has another length.
    pub fn new(what: &str, array: &'a A, len: usize) -> Result<Self> {
        check::length(what, array.len(), len)?;
        Ok(Output { array, tile: Vec::new() })
    }

    /// Whether writing does not change what is read from `input`: they are not of the same `ArrayBuffer`.
    pub fn is_apart(&self, input: &impl Array) -> bool {
        !Object::is(&self.array.memory(), &input.memory())
    }

    /// Writes what `make` puts into memory for the elements of `range`.
    ///
    /// # Errors
    /// What `make` fails with; then nothing is written.
    pub fn write(&mut self, range: Range<usize>, make: impl FnOnce(&mut [A::Item]) -> Result<()>) -> Result<()> {
        self.tile.resize(range.len(), A::Item::default());
        make(&mut self.tile)?;
        self.array.write(range.start, &self.tile);
        Ok(())
    }
}
