//! Divides tensors into tiles that are so small that memory depends neither on the model nor on the shape of any
//! tensor.

use crate::container::gguf::TensorType;
use crate::format::EncodingCost;
use crate::recipe::{PlannedTensor, bnb_data_type};
use serde::{Deserialize, Serialize};

/// Weights per tile: 4 MiB as F32, so that eight threads with two tiles each fit in a browser tab on a phone.
pub(super) const TILE_WEIGHTS: u64 = 1 << 20;

/// The lattice searches encode a few hundred thousand weights per second: smaller tiles keep progress and cancelling
/// responsive.
const SLOW_TILE_WEIGHTS: u64 = 1 << 18;

/// A byte range of a source: `length` bytes from `offset` or, with `second`, half of them from `offset` and half from
/// `second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Start of the range.
    pub offset: u64,
    /// Total length in bytes.
    pub length: u64,
    /// Start of the second half, if it is separate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<u64>,
}

/// Part of a tensor, with its positions in the source and in the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The index of the tensor in the plan.
    pub tensor: usize,
    /// The number of the tensor's weights before it, in output order.
    pub first_weight: u64,
    /// Weights per row: of whole rows, or fewer if a row is longer than a tile and is divided at block boundaries.
    pub columns: u64,
    /// Rows per head whose halves are interleaved; 0 for none.
    pub permuted_head_rows: u64,
    /// The bytes to read.
    pub input: ByteRange,
    /// Start of the result in the concatenation of all files.
    pub offset: u64,
    /// Length of the result in bytes.
    pub length: u64,
    /// Number of zero bytes after the result; only the last tile of a tensor has padding.
    pub padding: u64,
}

/// Part of a tensor: its number of weights, the row length, and the position in the source.
struct Part {
    count: u64,
    columns: u64,
    permuted_head_rows: u64,
    /// The number of the tensor's weights before the first one read, and before the second half if the halves are
    /// separate.
    from: u64,
    second: Option<u64>,
}

impl Part {
    fn of(from: u64, count: u64, columns: u64) -> Self {
        Part { count, columns, permuted_head_rows: 0, from, second: None }
    }
}

type Parts = Box<dyn Iterator<Item = Part> + Send>;

/// The tiles of a tensor with index `index` in its plan, in output order.
pub fn tiles(tensor: &PlannedTensor, index: usize) -> Box<dyn Iterator<Item = Tile> + Send> {
    let (from, to) = (tensor.from, tensor.to);
    let (source, place) = (tensor.source_offset, tensor.place);
    let weights = tensor.weights();
    let mut first_weight = 0;
    Box::new(parts(tensor, most_weights(to)).map(move |part| {
        let at = |weights: u64| source.saturating_add(bytes_of(from, weights));
        let second = part.second.map(at);
        let tile = Tile {
            tensor: index,
            first_weight,
            columns: part.columns,
            permuted_head_rows: part.permuted_head_rows,
            input: ByteRange { offset: at(part.from), length: bytes_of(from, part.count), second },
            offset: place.offset.saturating_add(bytes_of(to, first_weight)),
            length: bytes_of(to, part.count),
            padding: if first_weight + part.count == weights { place.padded - place.bytes } else { 0 },
        };
        first_weight += part.count;
        tile
    }))
}

/// The size of weights in bytes: whole blocks, except that an odd number of 4-bit codes takes an additional byte.
pub(super) fn bytes_of(dtype: TensorType, weights: u64) -> u64 {
    weights.div_ceil(dtype.weights).saturating_mul(dtype.bytes)
}

/// The number of weights of the largest tile of a format.
fn most_weights(to: TensorType) -> u64 {
    if EncodingCost::of(to.name) == EncodingCost::VeryHigh { SLOW_TILE_WEIGHTS } else { TILE_WEIGHTS }
}

fn parts(tensor: &PlannedTensor, most: u64) -> Parts {
    let PlannedTensor { from, to, rows, row_length, permuted_head_rows, .. } = *tensor;
    let weights = rows.saturating_mul(row_length);
    if weights == 0 {
        return Box::new(std::iter::empty());
    }
    if permuted_head_rows > 0 {
        // In a bias every weight is a row.
        return if rows == 1 {
            heads(row_length, 1, permuted_head_rows, most)
        } else {
            heads(rows, row_length, permuted_head_rows, most)
        };
    }
    // NF4 and FP4 have blocks of 64 regardless of rows, and copies without blocks have neither.
    let regardless = bnb_data_type(to).is_some() || from == to && from.weights == 1;
    if row_length > most && !regardless {
        return Box::new((0..rows).flat_map(move |row| pieces(row * row_length, row_length, most)));
    }
    // A tile stays within one matrix of a stack (one expert), because each has its own importance.
    let matrix = tensor.weights_per_matrix();
    let per_tile = if regardless { most } else { most / row_length * row_length };
    let mut at = 0;
    Box::new(std::iter::from_fn(move || {
        let count = per_tile.min(matrix - at % matrix);
        (at < weights).then(|| {
            let part = Part::of(at, count, row_length);
            at += count;
            part
        })
    }))
}

/// Divides a row longer than a tile into pieces of `most` weights: a whole number of blocks in every format.
fn pieces(first: u64, row_length: u64, most: u64) -> impl Iterator<Item = Part> + Send {
    let starts = (0..row_length).step_by(most as usize);
    starts.map(move |column| {
        let count = most.min(row_length - column);
        Part::of(first + column, count, count)
    })
}

/// Heads whose halves are interleaved: row `2 i + j` of a head is row `j * permuted_head_rows / 2 + i` of the source. Uses whole
/// heads if they fit in a tile, otherwise neighbouring rows of both halves, otherwise single rows.
fn heads(rows: u64, row_length: u64, permuted_head_rows: u64, most: u64) -> Parts {
    let half = permuted_head_rows / 2;
    let per_tile = (most / permuted_head_rows.saturating_mul(row_length)).max(1) * permuted_head_rows;
    let pairs = most / row_length.saturating_mul(2);
    // The encoder rejects rows that are not whole heads with two halves.
    if permuted_head_rows.saturating_mul(row_length) <= most || !permuted_head_rows.is_multiple_of(2) {
        return Box::new((0..rows).step_by(per_tile as usize).map(move |at| Part {
            permuted_head_rows,
            ..Part::of(at * row_length, per_tile.min(rows - at) * row_length, row_length)
        }));
    }
    let starts = (0..rows).step_by(permuted_head_rows as usize);
    Box::new(starts.flat_map(move |at| {
        let pair_starts = (0..half).step_by(pairs.max(1) as usize);
        pair_starts.flat_map(move |pair| -> Parts {
            let (first, second) = ((at + pair) * row_length, (at + half + pair) * row_length);
            if pairs == 0 {
                return Box::new(pieces(first, row_length, most).chain(pieces(second, row_length, most)));
            }
            let count = 2 * pairs.min(half - pair);
            let part = Part::of(first, count * row_length, row_length);
            Box::new(std::iter::once(Part { permuted_head_rows: count, second: Some(second), ..part }))
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::gguf::DataRange;

    fn tensor(shape: &[u64], permuted_head_rows: u64, to: TensorType) -> PlannedTensor {
        let (row_length, rows) = (shape[0], shape[1..].iter().product());
        let from = TensorType::F32;
        PlannedTensor {
            name: "a".into(),
            source_name: "a".into(),
            from,
            to,
            why: "".into(),
            shape: shape.into(),
            rows,
            row_length,
            permuted_head_rows,
            source_offset: 0,
            source_bytes: 4 * rows * row_length,
            place: DataRange { offset: 0, bytes: 0, padded: 0 },
            needs_importance: false,
            has_importance: false,
        }
    }

    /// The weights of all parts in output order, by their position in the source.
    fn order(tensor: &PlannedTensor, most: u64) -> Vec<u64> {
        let mut all = Vec::new();
        for part in parts(tensor, most) {
            assert!(part.count <= most.max(tensor.permuted_head_rows * part.columns), "{} weights", part.count);
            let read: Vec<u64> = match part.second {
                None => (part.from..part.from + part.count).collect(),
                Some(second) => {
                    let half = part.count / 2;
                    (part.from..part.from + half).chain(second..second + half).collect()
                }
            };
            let row = if tensor.rows == 1 && tensor.permuted_head_rows > 0 { 1 } else { part.columns as usize };
            if part.permuted_head_rows == 0 {
                all.extend(read);
                continue;
            }
            for head in read.chunks(part.permuted_head_rows as usize * row) {
                let (first, second) = head.split_at(head.len() / 2);
                for (a, b) in first.chunks(row).zip(second.chunks(row)) {
                    all.extend(a);
                    all.extend(b);
                }
            }
        }
        all
    }

    /// The expected order of the whole tensor: rows in order, or the halves of each head interleaved.
    fn expected(tensor: &PlannedTensor) -> Vec<u64> {
        let (rows, row) = match (tensor.permuted_head_rows, tensor.rows) {
            (0, rows) => return (0..rows * tensor.row_length).collect(),
            (_, 1) => (tensor.row_length, 1),
            (_, rows) => (rows, tensor.row_length),
        };
        let half = tensor.permuted_head_rows / 2;
        let from = |target: u64| {
            let (head, within) = (target / tensor.permuted_head_rows, target % tensor.permuted_head_rows);
            head * tensor.permuted_head_rows + within % 2 * half + within / 2
        };
        (0..rows).flat_map(|target| from(target) * row..(from(target) + 1) * row).collect()
    }

    #[test]
    fn tiles_cover_every_weight_once_in_the_order_of_the_output() {
        let shapes: [(&[u64], u64); 9] = [
            (&[32, 7], 0),
            (&[256, 5], 0),
            (&[1024, 3], 0),
            (&[32, 5, 4], 0),
            (&[512, 2, 3], 0),
            (&[32, 16], 4),
            (&[64, 48], 16),
            (&[512, 8], 4),
            (&[64, 1], 16),
        ];
        for (shape, permuted_head_rows) in shapes {
            for to in [TensorType::Q8_0, TensorType::F32] {
                let tensor = tensor(shape, permuted_head_rows, to);
                for most in [32, 128, 256, 1 << 20] {
                    assert_eq!(
                        order(&tensor, most),
                        expected(&tensor),
                        "{shape:?} {permuted_head_rows} {} {most}",
                        to.name
                    );
                }
            }
        }
    }

    #[test]
    fn a_tile_stays_inside_one_matrix() {
        let tensor = tensor(&[32, 5, 4], 0, TensorType::Q8_0);
        for part in parts(&tensor, 128) {
            assert_eq!(part.from / 160, (part.from + part.count - 1) / 160);
        }
    }
}
