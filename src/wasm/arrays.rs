//! The caller's typed arrays, read and written tile by tile.

use crate::allocation;
use crate::error::Result;
use crate::tiling::{Input, Output, TILE};
use crate::validation;
use js_sys::{Float32Array, Float64Array, Object, Uint8Array};
use std::ops::Range;
use wasm_bindgen::JsValue;

/// The operations on typed arrays that tiling needs.
pub trait TypedArray {
    /// The element type.
    type Item: Clone + Default;
    /// The number of elements.
    fn len(&self) -> usize;
    /// The underlying `ArrayBuffer`.
    fn memory(&self) -> JsValue;
    /// Copies the elements in `range` to `out`.
    fn read(&self, range: Range<usize>, out: &mut [Self::Item]);
    /// Writes `values` from index `start`.
    fn write(&self, start: usize, values: &[Self::Item]);
}

macro_rules! typed_array {
    ($($array:ty: $item:ty),+) => {$(
        impl TypedArray for $array {
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
typed_array! { Float32Array: f32, Float64Array: f64, Uint8Array: u8 }

/// A typed array that is read tile by tile.
pub struct Reading<'a, A: TypedArray> {
    array: &'a A,
    tile: Vec<A::Item>,
}

/// Reads an array tile by tile.
pub fn reading<A: TypedArray>(array: &A) -> Reading<'_, A> {
    Reading { array, tile: Vec::new() }
}

impl<A: TypedArray> Input for Reading<'_, A> {
    type Item = A::Item;

    fn len(&self) -> usize {
        self.array.len()
    }

    fn read(&mut self, range: Range<usize>) -> &[A::Item] {
        self.tile.resize(range.len(), A::Item::default());
        self.array.read(range, &mut self.tile);
        &self.tile
    }

    fn read_all(&mut self) -> Result<&[A::Item]> {
        self.tile = allocation::zeros(self.len())?;
        Ok(self.read(0..self.len()))
    }
}

/// A typed array that is written tile by tile.
pub struct Writing<'a, A: TypedArray> {
    array: &'a A,
    tile: Vec<A::Item>,
    /// Whether writing cannot change an input.
    apart: bool,
}

/// Writes an array tile by tile, or as a whole if it has the same `ArrayBuffer` as one of the inputs.
pub fn writing<'a, A: TypedArray>(array: &'a A, inputs: &[JsValue]) -> Writing<'a, A> {
    let memory = array.memory();
    Writing { array, tile: Vec::new(), apart: !inputs.iter().any(|input| Object::is(&memory, input)) }
}

impl<A: TypedArray> Output for Writing<'_, A> {
    type Item = A::Item;

    fn len(&self) -> usize {
        self.array.len()
    }

    fn tile(&self) -> usize {
        if self.apart { TILE } else { usize::MAX }
    }

    fn write(&mut self, range: Range<usize>, make: impl FnOnce(&mut [A::Item]) -> Result<()>) -> Result<()> {
        self.tile.resize(range.len(), A::Item::default());
        make(&mut self.tile)?;
        self.array.write(range.start, &self.tile);
        Ok(())
    }
}

/// Fills an array of `len` elements, named `what` in messages. The inputs of `make` have been copied, so it may be one
/// of them.
///
/// # Errors
/// [`Code::LENGTH`](crate::Code::LENGTH) for another length and the errors of `make`; then nothing is written.
pub fn fill<A: TypedArray>(
    what: &str,
    array: &A,
    len: usize,
    make: impl FnOnce(&mut [A::Item]) -> Result<()>,
) -> Result<()> {
    validation::length(what, array.len(), len)?;
    writing(array, &[]).write(0..len, make)
}
