//! The images of digits: the data set of this crate, which `tools/digits.py` has packed, or another one.

use super::super::generators::Random;
use crate::error::{Code, Error, Result};
use crate::serialization::Reader;
use crate::validation;

/// The number of pixels of an image.
pub const PIXELS: usize = 64;
/// The number of classes.
pub const CLASSES: usize = 10;

/// scikit-learn's digits, packed.
static PACKED: &[u8] = include_bytes!("digits.bin");

/// Images of handwritten digits, 8 x 8 pixels with values from 0 to 1, and their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Digits {
    images: Vec<f32>,
    labels: Vec<u8>,
}

impl Digits {
    /// The data set of this crate: scikit-learn's 1797 digits.
    ///
    /// # Errors
    /// None: the data is a part of the crate.
    pub fn bundled() -> Result<Self> {
        Self::unpack(PACKED)
    }

    /// A data set of your own.
    ///
    /// * `images` - 64 pixels each, row by row, from 0 (background) to 1; one image after the other
    /// * `labels` - the digit of each image, 0 to 9
    ///
    /// # Errors
    /// [`Code::LENGTH`] unless there are 64 pixels for each label, [`Code::NON_FINITE`] for a pixel that is NaN or
    /// infinite, [`Code::RANGE`] for a label above 9.
    pub fn new(images: Vec<f32>, labels: Vec<u8>) -> Result<Self> {
        validation::length("images", images.len(), labels.len().saturating_mul(PIXELS))?;
        validation::finite(&images, "pixel")?;
        if let Some(index) = labels.iter().position(|&label| usize::from(label) >= CLASSES) {
            let label = labels[index];
            let message = format!("label {index} is {label}, and must be a digit from 0 to 9");
            return Err(Error::new(Code::RANGE, message).with("index", index).with("label", u32::from(label)));
        }
        Ok(Digits { images, labels })
    }

    /// Unpacks a data set. For each image it has the label, a bit mask of the nonzero pixels, and four bits for each of
    /// those with the value (1 to 16) minus one. Half the pixels are 0, so this takes 46 kB instead of 117.
    fn unpack(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader::new(bytes, *b"QPdg", 1, "the data set of digits")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_damaged_data() {
        for cut in (0..PACKED.len()).step_by(997).chain([0, 4, 5, 12, 13, PACKED.len() - 1]) {
            assert!(Digits::unpack(&PACKED[..cut]).is_err(), "cut at {cut}");
        }
        let mut wrong = PACKED.to_vec();
        wrong[13] = 10;
        assert_eq!(Digits::unpack(&wrong).unwrap_err().code(), Code::MALFORMED, "a digit above 9");
    }
}
