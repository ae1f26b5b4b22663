//! The digits, as `tools/digits.py` packs them.

use super::super::generators::Random;
use crate::error::Result;
use crate::wire::Reader;

/// Pixels of an image.
pub const PIXELS: usize = 64;
/// Digits there are.
pub const CLASSES: usize = 10;

/// Images of handwritten digits, 8 x 8 pixels of 0 to 1, and which digit each is.
#[derive(Clone, Debug, PartialEq)]
pub struct Digits {
    images: Vec<f32>,
    labels: Vec<u8>,
}

impl Digits {
    /// Reads the packed file: of each image the digit, a bit mask of the pixels that are not 0, and for each of those four
    /// bits, its ink (1 to 16) less one. Half the pixels are 0: 46 kB instead of 117.
    ///
    /// # Errors
    /// [`Code::MAGIC`](crate::Code::MAGIC), [`Code::TRUNCATED`](crate::Code::TRUNCATED),
    /// [`Code::MALFORMED`](crate::Code::MALFORMED) for bytes that are no such file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes, *b"QPdg", 1, "the file of digits")?;
        let (labels, masks, ink) = (input.bytes()?, input.u64s()?, input.bytes()?);
        let inked: usize = masks.iter().map(|mask| mask.count_ones() as usize).sum();
        let known = labels.iter().all(|&label| usize::from(label) < CLASSES);
        if labels.len() != masks.len() || ink.len() != inked.div_ceil(2) || !known {
            return Err(input.malformed(format!(
                "{} labels, {} masks and {} bytes of ink",
                labels.len(),
                masks.len(),
                ink.len()
            )));
        }
        input.finish()?;
        let mut nibbles = ink.iter().flat_map(|byte| [byte & 15, byte >> 4]);
        let mut images = Vec::with_capacity(masks.len() * PIXELS);
        for mask in masks {
            for pixel in 0..PIXELS {
                let ink = if mask >> pixel & 1 == 1 { nibbles.next().unwrap_or(0) + 1 } else { 0 };
                images.push(f32::from(ink) / 16.0);
            }
        }
        Ok(Digits { images, labels })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// An image: 64 pixels, row by row, 0 for paper and 1 for ink.
    pub fn image(&self, index: usize) -> Option<&[f32]> {
        self.images.chunks_exact(PIXELS).nth(index)
    }

    /// Which digit an image is.
    pub fn label(&self, index: usize) -> Option<u8> {
        self.labels.get(index).copied()
    }

    /// Shuffles, and divides into three quarters and one.
    pub(super) fn split(&self, random: &mut Random) -> (Digits, Digits) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        random.shuffle(&mut order);
        let (train, test) = order.split_at(self.len() * 3 / 4);
        (self.pick(train), self.pick(test))
    }

    fn pick(&self, order: &[usize]) -> Digits {
        let images = order.iter().flat_map(|&i| &self.images[i * PIXELS..(i + 1) * PIXELS]).copied().collect();
        Digits { images, labels: order.iter().map(|&i| self.labels[i]).collect() }
    }

    /// The pixels of all images, one after the other.
    pub fn images(&self) -> &[f32] {
        &self.images
    }

    /// The digits of all images.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}
