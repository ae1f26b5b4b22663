//! The tiles of tensors are small, in output order, and cover every weight once.

use proptest::prelude::*;
use quantpress::container::gguf::{DataRange, TensorType};
use quantpress::job::{Tile, tiles};
use quantpress::recipe::PlannedTensor;

const SOURCE: u64 = 1000;
const TARGET: u64 = 500;

/// An F16 tensor that is read at [`SOURCE`] and written at [`TARGET`].
fn planned(shape: &[u64], permuted_head_rows: u64, to: TensorType) -> PlannedTensor {
    let (row_length, rows) = (shape[0], shape[1..].iter().product::<u64>());
    let bytes = to.size_of(rows * row_length).unwrap();
    PlannedTensor {
        name: "x".into(),
        source_name: "x".into(),
        from: TensorType::F16,
        to,
        why: "".into(),
        shape: shape.into(),
        rows,
        row_length,
        permuted_head_rows,
        source_offset: SOURCE,
        source_bytes: 2 * rows * row_length,
        place: DataRange { offset: TARGET, bytes, padded: bytes.next_multiple_of(32) },
        needs_importance: false,
        has_importance: false,
    }
}

fn dimension() -> impl Strategy<Value = u64> {
    1..10u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tiles_are_whole_rows_or_pieces_of_one_and_cover_the_tensor_in_order(
        blocks in prop_oneof![dimension(), 1..1u64 << 18],
        further in prop::collection::vec(dimension(), 0..4),
        to in prop::sample::select(vec![TensorType::Q8_0, TensorType::IQ2_XXS, TensorType::F16]),
    ) {
        let row_length = if to == TensorType::IQ2_XXS { blocks.next_multiple_of(8) } else { blocks } * 32;
        let tensor = planned(&[&[row_length][..], &further].concat(), 0, to);
        let matrix = row_length * further.first().map_or(1, |rows| if further.len() > 1 { *rows } else { tensor.rows });
        let (mut read, mut written) = (SOURCE, TARGET);
        for tile in tiles(&tensor, 3) {
            prop_assert_eq!((tile.tensor, tile.input.offset, tile.offset), (3, read, written));
            prop_assert_eq!((tile.first_weight, tile.permuted_head_rows), ((read - SOURCE) / 2, 0));
            read += tile.input.length;
            written += tile.length + tile.padding;
            let weights = tile.input.length / 2;
            prop_assert!(weights <= 1 << 20);
            if to != TensorType::F16 && tile.columns == row_length {
                prop_assert_eq!(weights % tile.columns, 0);
            } else if to != TensorType::F16 {
                // A piece of one row, which ends at a block boundary of every format.
                let column = tile.first_weight % row_length;
                prop_assert_eq!((tile.columns, column % 256), (weights, 0));
                prop_assert!(column + weights <= row_length);
            }
            prop_assert_eq!(tile.first_weight / matrix, (tile.first_weight + weights - 1) / matrix);
        }
        prop_assert_eq!((read, written), (SOURCE + tensor.source_bytes, TARGET + tensor.place.padded));
    }

    #[test]
    fn interleaved_heads_are_read_in_order_with_any_tile_size(
        // Whole heads in a tile, some rows of both halves, or pieces of one row.
        row_length in prop::sample::select(vec![32, 4096, (1 << 17) + 32, 3 << 20]),
        half in 1..41u64,
        heads in 1..5u64,
        to in prop::sample::select(vec![TensorType::Q8_0, TensorType::F32]),
    ) {
        let tensor = planned(&[row_length, 2 * half * heads], 2 * half, to);
        let (mut weight, mut written) = (0, TARGET);
        for tile in tiles(&tensor, 0) {
            prop_assert!(tile.input.length <= 2 << 20);
            prop_assert_eq!((tile.first_weight, tile.offset), (weight, written));
            written += tile.length;
            for (from, count) in runs(&tile) {
                let (row, column) = (weight / row_length, weight % row_length);
                let (head, in_head) = (row / (2 * half), row % (2 * half));
                let source_row = head * 2 * half + in_head % 2 * half + in_head / 2;
                prop_assert_eq!(from, source_row * row_length + column);
                weight += count;
            }
        }
        prop_assert_eq!((weight, written), (2 * half * heads * row_length, TARGET + tensor.place.bytes));
    }
}

/// The weights read by a tile, in output order: runs of neighbouring weights of the source, with their lengths.
fn runs(tile: &Tile) -> Vec<(u64, u64)> {
    let at = |offset: u64| (offset - SOURCE) / 2;
    let (columns, permuted_head_rows) = (tile.columns, tile.permuted_head_rows);
    let rows = tile.input.length / 2 / columns;
    if permuted_head_rows == 0 {
        return vec![(at(tile.input.offset), rows * columns)];
    }
    let heads = (0..rows).step_by(permuted_head_rows as usize);
    let run = |head: u64, row: u64| match tile.input.second {
        None => at(tile.input.offset) + (head + row % 2 * (permuted_head_rows / 2) + row / 2) * columns,
        Some(second) => at(if row.is_multiple_of(2) { tile.input.offset } else { second }) + row / 2 * columns,
    };
    heads.flat_map(|head| (0..permuted_head_rows).map(move |row| (run(head, row), columns))).collect()
}

#[test]
fn tiles_of_rows_past_2_to_the_31_are_small_and_cover_the_tensor() {
    let tensor = planned(&[(1 << 31) + 64, 2], 0, TensorType::Q8_0);
    let (mut count, mut end) = (0, TARGET);
    for tile in tiles(&tensor, 0) {
        assert!(tile.input.length <= 2 << 20);
        assert_eq!((tile.offset, tile.columns * 2), (end, tile.input.length));
        (count, end) = (count + 1, end + tile.length);
    }
    assert_eq!((count, end), (2 * (2048 + 1), TARGET + tensor.place.bytes));
}

#[test]
fn an_interleaved_bias_is_read_as_rows_of_one_weight() {
    let tensor = PlannedTensor { shape: [3 << 19][..].into(), ..planned(&[3 << 19, 1], 1 << 12, TensorType::F32) };
    let mut weight = 0;
    for tile in tiles(&tensor, 0) {
        assert_eq!((tile.columns, tile.permuted_head_rows, tile.input.second), (1, 1 << 12, None));
        assert_eq!(tile.first_weight, weight);
        weight += tile.input.length / 2;
    }
    assert_eq!(weight, 3 << 19);
}
