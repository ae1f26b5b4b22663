//! A row longer than a tile is encoded in pieces that give the same bytes as the whole row.

use crate::support::weights::Rng;
use quantpress::container::gguf::TensorType;
use quantpress::format::mean_square;
use quantpress::recipe::{Tile, add_row_squares, analyze_rows};
use quantpress::{Codec, formats, quantize};

/// Three super-blocks, so pieces of 512 leave a remainder.
const ROW: usize = 3 * 256;

fn little_endian(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// A row whose parts have very different magnitudes, so the mean square of a piece differs from that of the row.
fn row() -> (Vec<f32>, Vec<f32>) {
    let mut rng = Rng::new(14);
    let weights = (0..ROW).map(|i| (rng.gauss() * [0.01, 1.0, 30.0][i / 256]) as f32).collect();
    let importance = (0..ROW).map(|_| rng.gauss().abs() as f32).collect();
    (weights, importance)
}

/// The mean square as computed by a driver that reads pieces of `piece` weights.
fn mean_of(weights: &[f32], piece: usize) -> f32 {
    let add = |sum, piece: &[f32]| add_row_squares(sum, &little_endian(piece), "F32").unwrap();
    mean_square(weights.chunks(piece).fold(0.0, add), weights.len() as u64)
}

fn piece<'a>(bytes: &'a [u8], to: TensorType, importance: Option<&'a [f32]>, mean_square: Option<f32>) -> Tile<'a> {
    Tile { bytes, from: TensorType::F32, to, columns: bytes.len() / 4, importance, mean_square, permuted_head_rows: 0 }
}

fn written() -> impl Iterator<Item = &'static Codec> {
    formats().iter().filter(|codec| codec.can_encode() && codec.name != "F32")
}

#[test]
fn pieces_of_a_row_have_the_bytes_of_the_whole_row_in_every_format() {
    let (weights, importance) = row();
    let mean = mean_of(&weights, 100);
    for codec in written() {
        let to = TensorType::by_name(codec.name).unwrap();
        for importance in [None, Some(&importance[..])] {
            if importance.is_none() && codec.needs_importance {
                continue;
            }
            let whole = quantize(&weights, codec.name, ROW, importance).unwrap();
            for length in [256, 512] {
                let mut pieces = Vec::new();
                for (index, weights) in weights.chunks(length).enumerate() {
                    let columns = importance.map(|all| &all[index * length..][..weights.len()]);
                    let mean = columns.filter(|_| codec.weighs_by_row).map(|_| mean);
                    pieces.extend(piece(&little_endian(weights), to, columns, mean).encode(None).unwrap());
                }
                assert!(pieces == whole, "{} in pieces of {length}, importance {}", codec.name, importance.is_some());
            }
        }
    }
}

/// The field agrees with the bytes: without the row's mean square, exactly the formats that weigh by row change.
#[test]
fn exactly_the_row_weighted_formats_depend_on_the_rows_mean_square() {
    let (weights, importance) = row();
    let first = little_endian(&weights[..256]);
    let mut depend = Vec::new();
    for codec in written() {
        let to = TensorType::by_name(codec.name).unwrap();
        let of = |mean| piece(&first, to, Some(&importance[..256]), Some(mean)).encode(None).unwrap();
        let depends = of(0.0) != of(1e4);
        assert_eq!(depends, codec.weighs_by_row, "{}", codec.name);
        depend.extend(depends.then_some(codec.name));
    }
    assert_eq!(depend, ["Q4_0", "Q4_1", "Q5_0", "Q5_1"]);
}

#[test]
fn the_sum_of_squares_does_not_depend_on_where_a_row_is_cut() {
    let (weights, _) = row();
    let whole = mean_of(&weights, ROW);
    for piece in [1, 7, 256, 700] {
        assert_eq!(mean_of(&weights, piece).to_bits(), whole.to_bits());
    }
}

#[test]
fn analyzed_pieces_of_a_row_have_the_errors_of_the_whole_row() {
    let (weights, importance) = row();
    let mean = mean_of(&weights, 256);
    let formats = ["Q4_0".to_owned(), "Q5_1".to_owned(), "Q4_K".to_owned()];
    let whole = analyze_rows(&little_endian(&weights), "F32", ROW, &formats, Some(&importance), None).unwrap();
    let mut sums = vec![0.0; formats.len()];
    for (weights, importance) in weights.chunks(256).zip(importance.chunks(256)) {
        let bytes = little_endian(weights);
        let pieces = analyze_rows(&bytes, "F32", 256, &formats, Some(importance), Some(mean)).unwrap();
        for (sum, piece) in sums.iter_mut().zip(pieces) {
            *sum += piece.unwrap().error;
        }
    }
    for (sum, whole) in sums.into_iter().zip(whole) {
        let expected = whole.unwrap().error;
        assert!((sum - expected).abs() <= 1e-12 * expected, "{sum} is not {expected}");
    }
}
