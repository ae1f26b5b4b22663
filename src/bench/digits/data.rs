//! The digit images, as packed by `tools/digits.py`.

use super::super::generators::Random;
use crate::error::Result;
use crate::serialization::Reader;

/// The number of pixels of an image.
pub const PIXELS: usize = 64;
/// The number of classes.
pub const CLASSES: usize = 10;

/// Images of handwritten digits, 8 x 8 pixels with values from 0 to 1, and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Digits {
    images: Vec<f32>,
    labels: Vec<u8>,
}

impl Digits {
    /// Reads the packed file. For each image it has the label, a bit mask of the nonzero pixels, and four bits for each
    /// of those with the value (1 to 16) minus one. Half the pixels are 0, so this takes 46 kB instead of 117.
    ///
    /// # Errors
    /// [`Code::MAGIC`](crate::Code::MAGIC), [`Code::TRUNCATED`](crate::Code::TRUNCATED),
    /// [`Code::MALFORMED`](crate::Code::MALFORMED) for any other file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes, *b"QPdg", 1, "the file of digits")?;
        let (labels, masks, ink) = (input.bytes()?, input.u64s()?, input.bytes()?);
        let inked: usize = masks.iter().map(|mask| mask.count_ones() as usize).sum();
        let known = labels.iter().all(|&label| usize::from(label) < CLASSES);
        if labels.len() != masks.len() || ink.len() != inked.div_ceil(2) || !known {
            return Err(input.malformed(format!(
                "{} labels, {} masks and {} bytes of pixels",
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

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// An image: 64 pixels, row by row, from 0 (background) to 1.
    pub fn image(&self, index: usize) -> Option<&[f32]> {
        self.images.chunks_exact(PIXELS).nth(index)
    }

    /// The label (digit) of an image.
    pub fn label(&self, index: usize) -> Option<u8> {
        self.labels.get(index).copied()
    }

    /// Shuffles the images and splits them into three quarters and one quarter.
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

    /// The pixels of all images, one image after the other.
    pub fn images(&self) -> &[f32] {
        &self.images
    }

    /// The labels of all images.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}
