//! The cutting of tensors into tiles, small enough that memory depends neither on the model nor on any tensor's shape.

use crate::container::gguf::TensorType;
use crate::recipe::{PlannedTensor, four_bit_data_type};
use serde::{Deserialize, Serialize};

/// Weights per tile, 4 MiB of F32: small enough that eight threads, two tiles each, fit in a browser tab of a phone.
pub(super) const TILE_WEIGHTS: u64 = 1 << 20;

/// The lattice searches encode a few hundred thousand weights in a second: smaller tiles, for progress and cancelling.
const SLOW_TILE_WEIGHTS: u64 = 1 << 18;

/// Bytes of a source: `length` from `offset` on, or, with `second`, half of them there and half from `second` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Where they begin.
    pub offset: u64,
    /// How many there are in all.
    pub length: u64,
    /// Where the second half begins, if it is elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<u64>,
}

/// Some weights of one tensor: where they are read and where the result is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// The tensor's place in the plan.
    pub tensor: usize,
    /// How many of the tensor's weights come before it, in the order they are written.
    pub first_weight: u64,
    /// Weights per row: all of a row's, or fewer where the row is longer than a tile and is cut at block borders.
    pub columns: u64,
    /// Rows whose halves are interleaved on the way; 0 where they stay in order.
    pub head_rows: u64,
    /// What to read.
    pub input: ByteRange,
    /// Where the result begins among the bytes of all files, end to end.
    pub offset: u64,
    /// How long the result must be.
    pub length: u64,
    /// Zero bytes after the result; only a tensor's last tile has some.
    pub padding: u64,
}

/// A part of a tensor: how many weights it has, in rows of how many, and where those are in the source.
struct Part {
    count: u64,
    columns: u64,
    head_rows: u64,
    /// Weights of the tensor before the first that is read, and before the second half where the two halves are apart.
    from: u64,
    second: Option<u64>,
}

impl Part {
    fn of(from: u64, count: u64, columns: u64) -> Self {
        Part { count, columns, head_rows: 0, from, second: None }
    }
}

type Parts = Box<dyn Iterator<Item = Part> + Send>;

/// The tiles of one tensor, `index` in its plan, in the order they are written.
pub fn tiles(tensor: &PlannedTensor, index: usize) -> Box<dyn Iterator<Item = Tile> + Send> {
    let (from, to) = (tensor.from, tensor.to);
    let (source, place) = (tensor.source_offset, tensor.place);
    let weights = tensor.rows.saturating_mul(tensor.row_length);
    let mut first_weight = 0;
    Box::new(parts(tensor, most_weights(to)).map(move |part| {
        let at = |weights: u64| source.saturating_add(bytes_of(from, weights));
        let second = part.second.map(at);
        let tile = Tile {
            tensor: index,
            first_weight,
            columns: part.columns,
            head_rows: part.head_rows,
            input: ByteRange { offset: at(part.from), length: bytes_of(from, part.count), second },
            offset: place.offset.saturating_add(bytes_of(to, first_weight)),
            length: bytes_of(to, part.count),
            padding: if first_weight + part.count == weights { place.padded - place.bytes } else { 0 },
        };
        first_weight += part.count;
        tile
    }))
}

/// Bytes of weights: whole blocks, but for an odd end of 4-bit codes, which is a byte of its own.
pub(super) fn bytes_of(kind: TensorType, weights: u64) -> u64 {
    weights.div_ceil(kind.weights).saturating_mul(kind.bytes)
}

/// Weights of the largest tile of a format.
fn most_weights(to: TensorType) -> u64 {
    let slow = ["IQ1_", "IQ2_", "IQ3_"].iter().any(|prefix| to.name.starts_with(prefix));
    if slow { SLOW_TILE_WEIGHTS } else { TILE_WEIGHTS }
}

fn parts(tensor: &PlannedTensor, most: u64) -> Parts {
    let PlannedTensor { from, to, rows, row_length, head_rows, .. } = *tensor;
    let weights = rows.saturating_mul(row_length);
    if weights == 0 {
        return Box::new(std::iter::empty());
    }
    if head_rows > 0 {
        // Of a bias every weight is a row.
        return if rows == 1 {
            heads(row_length, 1, head_rows, most)
        } else {
            heads(rows, row_length, head_rows, most)
        };
    }
    // NF4 and FP4 have blocks of 64 without regard to rows, and a copy without blocks has neither.
    let regardless = four_bit_data_type(to).is_some() || from == to && from.weights == 1;
    if row_length > most && !regardless {
        return Box::new((0..rows).flat_map(move |row| pieces(row * row_length, row_length, most)));
    }
    // A tile stays inside one matrix of a stack (one expert), because each has an importance vector of its own.
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

/// A row that is longer than a tile, in pieces of `most` weights: a whole number of blocks of every format.
fn pieces(first: u64, row_length: u64, most: u64) -> impl Iterator<Item = Part> + Send {
    let starts = (0..row_length).step_by(most as usize);
    starts.map(move |column| {
        let count = most.min(row_length - column);
        Part::of(first + column, count, count)
    })
}

/// Heads whose halves are interleaved: row `2 i + j` of a head is row `j * head_rows / 2 + i` of the source. Whole heads if
/// some fit in a tile, else neighbouring rows of both halves, else one row after the other.
fn heads(rows: u64, row_length: u64, head_rows: u64, most: u64) -> Parts {
    let half = head_rows / 2;
    let per_tile = (most / head_rows.saturating_mul(row_length)).max(1) * head_rows;
    let pairs = most / row_length.saturating_mul(2);
    // The encoder refuses rows that are not whole heads of two halves.
    if head_rows.saturating_mul(row_length) <= most || !head_rows.is_multiple_of(2) {
        return Box::new((0..rows).step_by(per_tile as usize).map(move |at| Part {
            head_rows,
            ..Part::of(at * row_length, per_tile.min(rows - at) * row_length, row_length)
        }));
    }
    let starts = (0..rows).step_by(head_rows as usize);
    Box::new(starts.flat_map(move |at| {
        let pair_starts = (0..half).step_by(pairs.max(1) as usize);
        pair_starts.flat_map(move |pair| -> Parts {
            let (first, second) = ((at + pair) * row_length, (at + half + pair) * row_length);
            if pairs == 0 {
                return Box::new(pieces(first, row_length, most).chain(pieces(second, row_length, most)));
            }
            let count = 2 * pairs.min(half - pair);
            let part = Part::of(first, count * row_length, row_length);
            Box::new(std::iter::once(Part { head_rows: count, second: Some(second), ..part }))
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::gguf::Place;

    fn tensor(shape: &[u64], head_rows: u64, to: TensorType) -> PlannedTensor {
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
            head_rows,
            source_offset: 0,
            source_bytes: 4 * rows * row_length,
            place: Place { offset: 0, bytes: 0, padded: 0 },
            needs_importance: false,
            has_importance: false,
        }
    }

    /// The weights of all parts in the order they are written, by their places in the source.
    fn order(tensor: &PlannedTensor, most: u64) -> Vec<u64> {
        let mut all = Vec::new();
        for part in parts(tensor, most) {
            assert!(part.count <= most.max(tensor.head_rows * part.columns), "{} weights", part.count);
            let read: Vec<u64> = match part.second {
                None => (part.from..part.from + part.count).collect(),
                Some(second) => {
                    let half = part.count / 2;
                    (part.from..part.from + half).chain(second..second + half).collect()
                }
            };
            let row = if tensor.rows == 1 && tensor.head_rows > 0 { 1 } else { part.columns as usize };
            if part.head_rows == 0 {
                all.extend(read);
                continue;
            }
            for head in read.chunks(part.head_rows as usize * row) {
                let (first, second) = head.split_at(head.len() / 2);
                for (a, b) in first.chunks(row).zip(second.chunks(row)) {
                    all.extend(a);
                    all.extend(b);
                }
            }
        }
        all
    }

    /// What the whole tensor is: rows in order, or the halves of each head interleaved.
    fn expected(tensor: &PlannedTensor) -> Vec<u64> {
        let (rows, row) = match (tensor.head_rows, tensor.rows) {
            (0, rows) => return (0..rows * tensor.row_length).collect(),
            (_, 1) => (tensor.row_length, 1),
            (_, rows) => (rows, tensor.row_length),
        };
        let half = tensor.head_rows / 2;
        let from = |target: u64| {
            let (head, within) = (target / tensor.head_rows, target % tensor.head_rows);
            head * tensor.head_rows + within % 2 * half + within / 2
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
        for (shape, head_rows) in shapes {
            for to in [TensorType::Q8_0, TensorType::F32] {
                let tensor = tensor(shape, head_rows, to);
                for most in [32, 128, 256, 1 << 20] {
                    assert_eq!(order(&tensor, most), expected(&tensor), "{shape:?} {head_rows} {} {most}", to.name);
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
