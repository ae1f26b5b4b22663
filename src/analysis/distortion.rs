//! Quantization error as sums that can be merged. Appending tiles in order gives the same sums whoever computed each
//! tile.

use crate::error::Result;
use crate::format::Codec;
use crate::lanes::Doubles;

/// Sums over weights `x` that were dequantized to `y`, in double precision, with `e = y - x` and `w` the importance of
/// a weight's column.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DistortionSums {
    /// The number of weights.
    pub count: f64,
    /// `sum e^2`.
    pub error: f64,
    /// `sum x^2`.
    pub original: f64,
    /// `sum y^2`.
    pub decoded: f64,
    /// `sum x y`.
    pub product: f64,
    /// The largest `|e|`.
    pub largest: f64,
    /// `sum w e^2`; 0 without importance.
    pub weighted_error: f64,
    /// `sum w x^2`; 0 without importance.
    pub weighted_original: f64,
}

/// Number of weights decoded at a time, so that they stay in the L1 cache. A multiple of every block size.
const PIECE: usize = 4096;

impl DistortionSums {
    /// Adds weights and their dequantized counterparts, two slices of the same length.
    pub fn add(&mut self, original: &[f32], decoded: &[f32]) {
        let zero = Doubles::splat(0.0);
        let (mut sums, mut largest) = ([zero; 4], zero);
        let mut add = |x: Doubles, y: Doubles| {
            let e = y - x;
            for (sum, term) in sums.iter_mut().zip([e * e, x * x, y * y, x * y]) {
                *sum = *sum + term;
            }
            largest = largest.max(e.abs());
        };
        each_pair(original, decoded, &mut add);
        let [error, signal, result, product] = sums.map(|sum| sum.to_array().iter().sum::<f64>());
        self.count += original.len() as f64;
        self.error += error;
        self.original += signal;
        self.decoded += result;
        self.product += product;
        self.largest = largest.to_array().into_iter().fold(self.largest, f64::max);
    }

    /// Adds the weighted sums of weights and their dequantized counterparts; three slices of the same length.
    pub fn add_weighted(&mut self, original: &[f32], decoded: &[f32], importance: &[f32]) {
        for ((&x, &y), &w) in original.iter().zip(decoded).zip(importance) {
            let (x, y, w) = (f64::from(x), f64::from(y), f64::from(w));
            self.weighted_error += w * ((y - x) * (y - x));
            self.weighted_original += w * (x * x);
        }
    }

    /// Adds rows of weights and their encoding by `codec`; `importance` has one value per column.
    ///
    /// # Errors
    /// [`Code::LENGTH`](crate::Code::LENGTH) if the length of `bytes` does not match the weights.
    pub fn add_encoded(
        &mut self,
        original: &[f32],
        codec: &Codec,
        bytes: &[u8],
        row_length: usize,
        importance: Option<&[f32]>,
    ) -> Result<()> {
        let need = codec.encoded_len(original.len(), row_length)?;
        crate::validation::length("the encoded tensor", bytes.len(), need)?;
        let mut decoded = [0.0; PIECE];
        // Columns only matter for importance; without it all rows are treated as one.
        let row = importance.map_or(original.len(), |_| row_length).max(1);
        for (weights, bytes) in original.chunks(row).zip(bytes.chunks((row / codec.weights * codec.bytes).max(1))) {
            let piece_bytes = PIECE / codec.weights * codec.bytes;
            for (index, (weights, bytes)) in weights.chunks(PIECE).zip(bytes.chunks(piece_bytes)).enumerate() {
                let decoded = &mut decoded[..weights.len()];
                codec.decode(bytes, decoded)?;
                self.add(weights, decoded);
                if let Some(columns) = importance.and_then(|columns| columns.chunks(PIECE).nth(index)) {
                    self.add_weighted(weights, decoded, columns);
                }
            }
        }
        Ok(())
    }

    /// Whether all dequantized weights are finite.
    pub fn is_finite(&self) -> bool {
        self.error.is_finite() && self.decoded.is_finite()
    }

    /// Adds other sums. The order affects the last bits, so tiles are added in order.
    pub fn append(&mut self, more: &DistortionSums) {
        self.count += more.count;
        self.error += more.error;
        self.original += more.original;
        self.decoded += more.decoded;
        self.product += more.product;
        self.largest = self.largest.max(more.largest);
        self.weighted_error += more.weighted_error;
        self.weighted_original += more.weighted_original;
    }

    /// Creates sums from an array in the order of the fields.
    pub fn from_array(sums: [f64; 8]) -> Self {
        let [count, error, original, decoded, product, largest, weighted_error, weighted_original] = sums;
        DistortionSums { count, error, original, decoded, product, largest, weighted_error, weighted_original }
    }

    /// Converts the sums to an array in the order of the fields.
    pub fn to_array(self) -> [f64; 8] {
        let DistortionSums { count, error, original, decoded, product, largest, weighted_error, weighted_original } =
            self;
        [count, error, original, decoded, product, largest, weighted_error, weighted_original]
    }
}

/// Calls `add` with pairs of weights and their dequantized counterparts; the last pair is padded with zeros.
#[inline(always)]
pub(super) fn each_pair(original: &[f32], decoded: &[f32], mut add: impl FnMut(Doubles, Doubles)) {
    let mut add_four = |x: &[f32; 4], y: &[f32; 4]| {
        for (x, y) in Doubles::of(x).into_iter().zip(Doubles::of(y)) {
            add(x, y);
        }
    };
    let ((x, x_tail), (y, y_tail)) = (original.as_chunks::<4>(), decoded.as_chunks::<4>());
    for (x, y) in x.iter().zip(y) {
        add_four(x, y);
    }
    if !x_tail.is_empty() {
        let padded = |tail: &[f32]| std::array::from_fn(|i| tail.get(i).copied().unwrap_or(0.0));
        add_four(&padded(x_tail), &padded(y_tail));
    }
}
