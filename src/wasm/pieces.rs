//! Large arrays, piece by piece.

use js_sys::Uint8Array;

/// Bytes in a piece that stays in the CPU cache.
pub const PIECE: usize = 1 << 15;

/// Copies bytes into the engine piece by piece.
pub fn each_piece(bytes: &Uint8Array, most: usize, mut each: impl FnMut(&[u8])) {
    let mut piece = vec![0; most.min(bytes.length() as usize)];
    let mut at = 0;
    while at < bytes.length() {
        let end = bytes.length().min(at + most as u32);
        let part = &mut piece[..(end - at) as usize];
        bytes.subarray(at, end).copy_to(part);
        each(part);
        at = end;
    }
}
