//! Counts differing blocks, for the message of a failed comparison.

use super::layout;
use quantpress::Codec;

/// Counts the differing blocks of one format.
pub struct Tally {
    codec: &'static Codec,
    blocks: usize,
    differing: usize,
    /// The index of the block with the most differing bytes or weights, and their number.
    worst: Option<(usize, usize)>,
    first: Option<String>,
}

impl Tally {
    pub fn new(codec: &'static Codec) -> Self {
        Tally { codec, blocks: 0, differing: 0, worst: None, first: None }
    }

    /// Compares encoded blocks, starting with block `from`.
    pub fn bytes(&mut self, from: usize, ours: &[u8], theirs: &[u8]) {
        let codec = self.codec;
        self.compare(
            from,
            codec.bytes,
            ours,
            theirs,
            |a, b| a == b,
            |at, ours, theirs| {
                let shown = at & !3..(at + 12).min(codec.bytes);
                let (field, a, b) = (layout::field_at(codec, at), &ours[shown.clone()], &theirs[shown]);
                format!("{field}: ours {a:02x?}, the reference's {b:02x?}")
            },
        );
    }

    /// Compares decoded blocks bit by bit.
    ///
    /// Arithmetic on a NaN scale gives a NaN whose payload depends on the compiler's order of operands, which Rust and
    /// wasm do not specify. Float formats are converted bit by bit, so theirs must agree.
    pub fn weights(&mut self, ours: &[f32], theirs: &[f32]) {
        let codec = self.codec;
        let any_nan = !codec.carries_non_finite();
        let same = |a: &f32, b: &f32| a.to_bits() == b.to_bits() || any_nan && a.is_nan() && b.is_nan();
        self.compare(0, codec.weights, ours, theirs, same, |at, ours, theirs| {
            let (a, b) = (ours[at], theirs[at]);
            format!("weight {at}: ours {a:e} ({:08x}), the reference's {b:e} ({:08x})", a.to_bits(), b.to_bits())
        });
    }

    fn compare<T>(
        &mut self,
        from: usize,
        per_block: usize,
        ours: &[T],
        theirs: &[T],
        same: impl Fn(&T, &T) -> bool,
        show: impl Fn(usize, &[T], &[T]) -> String,
    ) {
        assert_eq!(ours.len(), theirs.len());
        for (i, (ours, theirs)) in ours.chunks_exact(per_block).zip(theirs.chunks_exact(per_block)).enumerate() {
            self.blocks += 1;
            let mut differing = (0..per_block).filter(|&at| !same(&ours[at], &theirs[at]));
            let Some(at) = differing.next() else { continue };
            self.differing += 1;
            let count = differing.count() + 1;
            if self.worst.is_none_or(|(_, most)| count > most) {
                self.worst = Some((from + i, count));
            }
            self.first.get_or_insert_with(|| format!("block {}, {}", from + i, show(at, ours, theirs)));
        }
    }

    /// The message, if anything differs.
    pub fn report(&self) -> Option<String> {
        let (worst, count) = self.worst?;
        Some(format!(
            "{} of {} blocks differ, worst is block {worst} (in {count} places); first is {}",
            self.differing,
            self.blocks,
            self.first.as_deref().unwrap_or_default()
        ))
    }
}
