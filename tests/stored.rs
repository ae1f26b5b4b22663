//! Which bytes of a tensor are read, checked and compared at once.

use proptest::prelude::*;
use quantpress::Code;
use quantpress::container::gguf::TensorType;
use quantpress::job::{Piece, StoredTensor, problem_of};
use quantpress::recipe::{Difference, compare_rows, difference};

fn stored(dtype: TensorType, shape: &[u64]) -> StoredTensor {
    StoredTensor { dtype, shape: shape.to_vec(), offset: 1000 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_whole_blocks_that_cover_the_rows_in_order(
        dtype in prop::sample::select(vec![TensorType::F16, TensorType::Q4_0, TensorType::Q6_K, TensorType::F8_E4M3]),
        blocks in 1..9u64,
        rows in 1..50u64,
        ends in (0..50u64, 0..50u64),
        most in 0..3000u64,
    ) {
        let tensor = stored(dtype, &[blocks * dtype.weights, rows]);
        let (from, to) = (ends.0.min(ends.1).min(rows), ends.0.max(ends.1).min(rows));
        let weights = tensor.weights_of_rows("x", Some(from..to)).unwrap();
        let row_bytes = blocks * dtype.bytes;
        let (mut offset, mut next) = (1000 + from * row_bytes, weights.start);
        for Piece { offset: at, length, first_weight, weights } in tensor.pieces(weights.clone(), most) {
            prop_assert_eq!((at, first_weight), (offset, next));
            prop_assert_eq!(dtype.size_of(weights), Some(length));
            prop_assert!(length <= most.max(dtype.bytes) && length > 0);
            (offset, next) = (at + length, first_weight + weights);
        }
        prop_assert_eq!((offset, next), (1000 + to * row_bytes, weights.end));
    }
}

#[test]
fn rows_that_a_tensor_does_not_have_are_an_error() {
    let tensor = stored(TensorType::F32, &[4, 3, 2]);
    assert_eq!(tensor.weights_of_rows("x", None).unwrap(), 0..24);
    assert_eq!(tensor.weights_of_rows("x", Some(6..6)).unwrap(), 24..24);
    #[allow(clippy::reversed_empty_ranges)]
    for rows in [0..7, 3..2] {
        let error = tensor.weights_of_rows("x", Some(rows.clone())).unwrap_err();
        assert_eq!(error.code(), Code::RANGE);
        let asked = format!("tensor 'x' has rows 0 to 6, but {} to {} were requested", rows.start, rows.end);
        assert_eq!(error.message(), asked);
    }
    assert_eq!(stored(TensorType::F32, &[4, 0]).weights_of_rows("x", None).unwrap(), 0..0);
    assert_eq!(stored(TensorType::F32, &[4, 0]).pieces(0..0, 100).count(), 0);
}

#[test]
fn steps_of_a_comparison_cover_both_tensors() {
    let (a, b) = (stored(TensorType::F16, &[3 << 19, 2]), stored(TensorType::Q4_K, &[3 << 19, 2, 1]));
    assert_eq!((a.comparison_steps(&b), b.comparison_steps(&a)), (Some(3), Some(3)));
    let pieces = |tensor: &StoredTensor| -> Vec<_> {
        (0..3).map(|step| tensor.compared_piece(step)).map(|piece| (piece.offset, piece.length)).collect()
    };
    assert_eq!(pieces(&a), [(1000, 2 << 20), (1000 + (2 << 20), 2 << 20), (1000 + (4 << 20), 2 << 20)]);
    let quarter = (1 << 20) / 256 * 144;
    assert_eq!(pieces(&b), [(1000, quarter), (1000 + quarter, quarter), (1000 + 2 * quarter, quarter)]);
    let short = stored(TensorType::F32, &[5]);
    assert_eq!(short.comparison_steps(&stored(TensorType::F32, &[5, 1, 1])), Some(1));
    assert_eq!((short.compared_piece(0).length, short.compared_piece(1).length), (20, 0));
    assert_eq!(short.comparison_steps(&stored(TensorType::F32, &[1, 5])), None);
    assert_eq!(short.comparison_steps(&stored(TensorType::F32, &[6])), None);
    assert_eq!(stored(TensorType::F32, &[0]).comparison_steps(&stored(TensorType::F16, &[0])), Some(0));
}

#[test]
fn weights_that_cannot_be_subtracted_can_still_be_equal() {
    let nan = [f32::NAN.to_le_bytes(), 1f32.to_le_bytes()].concat();
    assert_eq!(difference(&nan, "F32", &nan, "F32").unwrap(), Difference::Same);
    assert_eq!(difference(&nan, "F32", &[0; 8], "F32").unwrap_err().code(), Code::NON_FINITE);
    assert_eq!(difference(&[7; 8], "U64", &[7; 8], "U64").unwrap(), Difference::Same);
    assert_eq!(difference(&[7; 8], "U64", &[8; 8], "U64").unwrap(), Difference::Differs);
    assert_eq!(difference(&[7; 8], "U64", &[7; 8], "F64").unwrap(), Difference::Differs);
    let one = 1f32.to_le_bytes();
    let sums = compare_rows(&one, "F32", &[0; 4], "F32").unwrap();
    assert_eq!(difference(&one, "F32", &[0; 4], "F32").unwrap(), Difference::Sums(sums));
}

#[test]
fn a_problem_is_placed_in_the_whole_tensor() {
    let mut bytes = [0; 4 * 18];
    assert_eq!(problem_of(&bytes, TensorType::Q4_0, 320), None);
    bytes[2 * 18..][..2].copy_from_slice(&0x7c00u16.to_le_bytes()); // the scale of the third block is infinite
    let problem = problem_of(&bytes, TensorType::Q4_0, 320).unwrap();
    assert_eq!(problem, "block 2 of Q4_0 has a scale that is not a finite number (weight 384)");
    assert_eq!(problem_of(&[0xff; 8], TensorType::U64, 0), None);
    assert!(problem_of(&bytes[1..], TensorType::Q4_0, 0).unwrap().contains("not a multiple"));
}
